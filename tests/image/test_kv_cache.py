"""The memory fit against vLLM's own arithmetic: weights of one GPU, KV cache of one token, how many requests fit.

vLLM builds each model without memory and lays out its KV cache, in one process for all models. What it can not tell
without a GPU are the sizes that it measures when it starts: CUDA context, graphs, a forward pass.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest

from rehearsal.cpu_engine.process import CACHE, python
from settings import Engine
from settings.facts import GpuFacts, ModelFacts, instances, models
from settings.fit import BLOCK_TOKENS, MemoryFit, memory_fit
from settings.scalars import MIB
from settings.shapes import cannot_deal_out, weights_on_one
from tests.image.kv_cache import Answer, Case, Held
from tests.image.model_configs import config_of

pytestmark = pytest.mark.image

SCRIPT: Final = Path(__file__).with_name("kv_cache.py")
SECONDS: Final = 400
"""15 s with an idle core."""
LENGTHS: Final = (17, 1000, 4096, 8192, 32768)
REQUESTS: Final = (1, 7, 16, 64)
# Norms, biases and the padding of what is dealt out: what the shapes leave out.
LESS_THAN_VLLM: Final = 0.001
# GPTQ's group index, which stands in the files and is not kept; zero points, of which the kernel for cut groups needs none.
MORE_THAN_VLLM: Final = 0.025


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A model on GPUs of an instance type."""

    model: str
    instance: str
    parallel: int = 1
    whole_experts: bool = False

    @property
    def facts(self) -> ModelFacts:
        return models()[self.model]

    @property
    def gpu(self) -> GpuFacts:
        gpu = instances()[self.instance].gpu
        assert gpu is not None
        return gpu

    def fit(self, length: int, requests: int, share: float = 0.92) -> MemoryFit:
        engine = Engine(
            max_model_len=length,
            max_num_seqs=requests,
            gpu_memory_utilization=share,
            tensor_parallel_size=self.parallel,
            enable_expert_parallel=self.whole_experts,
        )
        return memory_fit(self.facts, engine, self.gpu)

    @property
    def tight_share(self) -> float:
        """A share of the GPU that leaves about 3,000 tokens of KV cache, so that length has a border below the model's own."""
        fit = self.fit(BLOCK_TOKENS, 1)
        return (fit.weights_mib + fit.overhead_mib + 3000 * fit.kv_token_bytes / MIB) / self.gpu.cuda_mib

    def __str__(self) -> str:
        experts = "-ep" if self.whole_experts else ""
        return f"{self.model.split('/')[1]}-{self.parallel}x{self.gpu.name.split()[1]}{experts}"


PAIRS: Final = (
    Pair(model="Qwen/Qwen2.5-7B-Instruct-AWQ", instance="g5.2xlarge"),
    Pair(model="Qwen/Qwen2.5-7B-Instruct-AWQ", instance="g5.12xlarge", parallel=4),
    Pair(model="Qwen/Qwen2.5-14B-Instruct-AWQ", instance="g5.2xlarge"),
    Pair(model="Qwen/Qwen3-8B-AWQ", instance="g5.2xlarge"),
    Pair(model="Qwen/Qwen3-8B-AWQ", instance="g5.48xlarge", parallel=8),
    Pair(model="solidrust/Mistral-7B-Instruct-v0.3-AWQ", instance="g4dn.xlarge"),
    Pair(model="hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", instance="g5.2xlarge"),
    Pair(model="Qwen/Qwen3-Embedding-0.6B", instance="g5.2xlarge"),
    Pair(model="Qwen/Qwen3-Embedding-4B", instance="g6e.2xlarge"),
    Pair(model="Qwen/Qwen3Guard-Gen-0.6B", instance="g5.xlarge"),
    Pair(model="Qwen/Qwen2.5-7B-Instruct", instance="g6e.2xlarge"),
    Pair(model="Qwen/Qwen3-4B", instance="g6.2xlarge"),
    Pair(model="Qwen/Qwen3-8B", instance="g5.12xlarge", parallel=2),
    Pair(model="meta-llama/Llama-3.1-8B-Instruct", instance="p4d.24xlarge"),
    Pair(model="mistralai/Mistral-7B-Instruct-v0.3", instance="g6e.2xlarge"),
    Pair(model="mistralai/Mixtral-8x7B-Instruct-v0.1", instance="p4d.24xlarge", parallel=4),
    Pair(
        model="mistralai/Mixtral-8x7B-Instruct-v0.1", instance="p4de.24xlarge", parallel=2, whole_experts=True
    ),
    Pair(model="Qwen/Qwen3-30B-A3B", instance="p4d.24xlarge", parallel=4, whole_experts=True),
    Pair(model="Qwen/Qwen3-30B-A3B-GPTQ-Int4", instance="p4d.24xlarge"),
    Pair(model="Qwen/Qwen3-30B-A3B-GPTQ-Int4", instance="g5.12xlarge", parallel=4),
    Pair(model="Qwen/Qwen3-235B-A22B-GPTQ-Int4", instance="p4d.24xlarge", parallel=4),
    Pair(model="Qwen/Qwen3-235B-A22B-GPTQ-Int4", instance="p4d.24xlarge", parallel=4, whole_experts=True),
    Pair(model="Qwen/Qwen3-235B-A22B-GPTQ-Int4", instance="p4d.24xlarge", parallel=8, whole_experts=True),
)
REFUSED: Final[Mapping[Pair, str]] = {
    Pair(model="Qwen/Qwen2.5-7B-Instruct", instance="g5.48xlarge", parallel=8): "attention heads (28)",
    Pair(
        model="Qwen/Qwen2.5-14B-Instruct-AWQ", instance="g5.48xlarge", parallel=8
    ): "not aligned with the quantized",
}


def room(fit: MemoryFit) -> int:
    """Return what the fit leaves for the KV cache, in bytes."""
    return (fit.budget_mib - fit.weights_mib - fit.overhead_mib) * MIB


def at_once(held: Held, length: int) -> int:
    """Return the requests of a length for which vLLM has whole blocks; the first block is never given out."""
    return (held["blocks"] - 1) // -(-length // held["block_size"])


def questions(pair: Pair) -> dict[str, tuple[int, int]]:
    """Return what vLLM is asked about a pair: a length, and the memory that our fit leaves."""
    lengths = [length for length in LENGTHS if length <= pair.facts.max_positions]
    asked = {f"{length} x {n}": (length, room(pair.fit(length, n))) for length in lengths for n in REQUESTS}
    for length in lengths:
        most = pair.fit(length, 1).most_sequences
        asked[f"{length} at most"] = (length, room(pair.fit(length, max(1, most))))
        asked[f"{length} one more"] = (length, room(pair.fit(length, most + 1)))
    tight = pair.fit(BLOCK_TOKENS, 1, pair.tight_share)
    longest = tight.longest_context
    return (
        asked
        | {f"longest x {share}": (int(longest * share), room(tight)) for share in (1, 1.1)}
        | {"longest + 1": (longest + 1, room(tight))}
    )


@dataclass(frozen=True, kw_only=True)
class Said:
    """What vLLM said: answers by pair, refusals by pair."""

    answers: dict[Pair, Answer]
    held: dict[Pair, dict[str, Held]]
    refusals: dict[Pair, str]


@pytest.fixture(scope="module")
def said() -> Said:
    asked = {pair: questions(pair) if pair in PAIRS else {} for pair in (*PAIRS, *REFUSED)}
    cases = [
        Case(
            config=config_of(pair.model),
            pooling="embed" in pair.facts.tasks,
            tensor_parallel_size=pair.parallel,
            enable_expert_parallel=pair.whole_experts,
            asked=list(of_pair.values()),
        )
        for pair, of_pair in asked.items()
    ]
    done = subprocess.run(
        [str(python()), str(SCRIPT)],
        input=json.dumps(cases),
        env={"VLLM_HOST_IP": "127.0.0.1", "HF_HUB_OFFLINE": "1", "VLLM_CACHE_ROOT": str(CACHE)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    by_pair = dict(zip(asked, found, strict=True))
    answers = {pair: cast("Answer", one) for pair, one in by_pair.items() if "error" not in one}
    return Said(
        answers=answers,
        held={pair: dict(zip(asked[pair], one["held"], strict=True)) for pair, one in answers.items()},
        refusals={pair: one["error"] for pair, one in by_pair.items() if "error" in one},
    )


@pytest.fixture(params=PAIRS, ids=str)
def pair(request: pytest.FixtureRequest, said: Said) -> Pair:
    assert request.param not in said.refusals, said.refusals.get(request.param)
    return request.param


def test_every_model_with_facts_is_asked_about() -> None:
    assert {pair.model for pair in PAIRS} == set(models())


def test_the_weights_of_one_gpu_are_those_that_vllm_allocates(said: Said, pair: Pair) -> None:
    ours = weights_on_one(pair.facts, pair.parallel, whole_experts=pair.whole_experts)
    theirs = said.answers[pair]["weight_bytes"]
    assert ours >= theirs * (1 - LESS_THAN_VLLM)
    assert ours <= theirs * (1 + MORE_THAN_VLLM)


def test_a_token_takes_exactly_what_vllm_gives_it(said: Said, pair: Pair) -> None:
    answer = said.answers[pair]
    assert answer["block_size"] == answer["default_block_size"] == BLOCK_TOKENS
    assert answer["token_bytes"] == pair.fit(BLOCK_TOKENS, 1).kv_token_bytes


def test_what_we_say_fits_vllm_starts_with_and_holds_at_once(said: Said, pair: Pair) -> None:
    fitting = 0
    for length in (length for length in LENGTHS if length <= pair.facts.max_positions):
        for requests in REQUESTS:
            fit, held = pair.fit(length, requests), said.held[pair][f"{length} x {requests}"]
            if fit.fits:
                fitting += 1
                assert held["refusal"] is None
                assert held["concurrency"] >= requests
                assert at_once(held, length) >= requests
            if held["refusal"] is not None:
                assert not fit.fits
    assert fitting


def test_the_most_requests_are_exactly_those_for_which_vllm_has_blocks(said: Said, pair: Pair) -> None:
    for length in (length for length in LENGTHS if length <= pair.facts.max_positions):
        most, held = pair.fit(length, 1).most_sequences, said.held[pair]
        whole = {name: at_once(held[f"{length} {name}"], length) for name in ("at most", "one more")}
        if most:
            assert whole["at most"] >= most, length
        assert whole["one more"] < most + 1, length


def test_the_longest_context_is_exactly_the_one_that_vllm_starts_with(said: Said, pair: Pair) -> None:
    held = said.held[pair]
    assert held["longest x 1"]["refusal"] is None
    for over in ("longest + 1", "longest x 1.1"):
        assert "KV cache is needed, which is larger than the available" in str(held[over]["refusal"])


@pytest.mark.parametrize("refused", REFUSED, ids=str)
def test_what_can_not_be_dealt_out_vllm_refuses(said: Said, refused: Pair) -> None:
    assert REFUSED[refused] in said.refusals[refused]
    assert cannot_deal_out(refused.facts, refused.parallel) is not None
