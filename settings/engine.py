"""The vLLM engine of one model: what decides GPU memory, parallelism and trust."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, StringConstraints

from settings.adapters import Adapter
from settings.base import Section, refusal
from settings.scalars import Fraction, Positive, Switch


class TrustRemoteCode(Section):
    """Leave to run Python from the model's repository. The reason is what a reviewer reads."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


def _trust_needs_a_reason(value: object) -> object:
    if value is True:
        raise refusal(
            "code from the model's repository would run in the cluster, and nobody says why",
            'write `trust_remote_code: {reason: "..."}`, or remove the key (off is the default)',
        )
    return None if value is False else value


class Engine(Section):
    """Flags of `vllm serve`.

    max_model_len: tokens of one request, prompt and answer together.
    max_num_seqs: requests that run at once; all of them at full length is what the memory fit guarantees.
    gpu_memory_utilization: share of one GPU's memory that the engine may take.
    tensor_parallel_size: GPUs of one replica; the GPU request of the pod comes from here alone.
    adapters: LoRA adapters beside the model; all of them can be in one batch.
    """

    dtype: Literal["auto", "float16", "bfloat16"] = "auto"
    max_model_len: Positive = 8192
    gpu_memory_utilization: Fraction = 0.92
    max_num_seqs: Positive
    tensor_parallel_size: Positive = 1
    enable_expert_parallel: Switch = False
    adapters: tuple[Adapter, ...] = ()
    trust_remote_code: Annotated[TrustRemoteCode | None, BeforeValidator(_trust_needs_a_reason)] = None
