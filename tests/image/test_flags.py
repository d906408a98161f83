"""Every flag that a stack gives the engine is one of the pinned vLLM's, and means there what the stack asked for.

vLLM's own parser is asked, in one process for all command lines.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.addons.otel_pipelines import OTLP_GRPC
from components.engine_args import API_PORT, MIDDLEWARE, engine_args, streamer_config, tracing_args
from components.engine_files import engine_environment
from rehearsal.cpu_engine.process import QUICK, python
from settings import load_stack_file
from settings.adapters import RANKS, Adapter
from settings.engine import TrustRemoteCode
from settings.models import Model
from settings.ready_models import ready_models
from settings.weights import StreamedWeights
from tests.conftest import ROOT, STACKS
from tests.image.engine import CHANGED_ON_CPU, environment_on_cpu, flags_on_cpu

pytestmark = pytest.mark.image

PARSER = Path(__file__).with_name("parse_flags.py")
PARSE_SECONDS = 180
"""10 s with an idle core, 40 s with other tests beside it: it imports vLLM."""

# Each must be refused, or the parser was not asked at all.
WRONG = {
    "a flag that does not exist": ("--bogus=1", "unrecognized arguments: --bogus=1"),
    "a value that does not exist": ("--dtype=float99", "invalid choice: 'float99'"),
    "a number that is a word": ("--max-num-seqs=many", "many"),
    "a flag without its value": ("--max-model-len", "expected one argument"),
    "a rank between those that there are": ("--max-lora-rank=12", "invalid choice: 12"),
    "a switch with a value": ("--enable-expert-parallel=yes", "ignored explicit argument 'yes'"),
}
# The parser takes the first for --max-num-seqs, so to be taken is not enough: a flag must be one of `options`. It
# takes the second as a text, so what it makes of a value must be looked at. Ranges it does not know at all.
ABBREVIATED = "--max-num-seq=16"
BROKEN_JSON = '--model-loader-extra-config={"memory_limit":'


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What tests/image/parse_flags.py printed."""

    values: dict[str, dict[str, Any]]
    errors: dict[str, str]
    options: frozenset[str]
    variables: frozenset[str]


def models() -> dict[str, Model]:
    """Every model of every stack, enabled or not, by `stack/name`, every ready model, one that may run its code, one with adapters."""
    found = {
        f"{stack}/{model.name}": model
        for stack in STACKS
        for model in load_stack_file(ROOT / f"Pulumi.{stack}.yaml").models
    }
    found |= {f"catalogue/{name}": model for name, model in ready_models().items()}
    plain = next(iter(found.values()))
    trusting = plain.engine.model_copy(
        update={"trust_remote_code": TrustRemoteCode(reason="a case of this test")}
    )
    adapted = plain.engine.model_copy(
        update={
            "adapters": tuple(
                Adapter(name=f"adapter-{rank}", path=f"/opt/adapters/{rank}", rank=rank) for rank in RANKS
            )
        }
    )
    return found | {
        "made/trusting": plain.model_copy(update={"engine": trusting}),
        "made/adapted": plain.model_copy(update={"engine": adapted}),
    }


MODELS = models()


def ask(lines: dict[str, Sequence[str]]) -> Answer:
    done = subprocess.run(
        [str(python()), str(PARSER)],
        input=json.dumps(list(lines.values())),
        env=environment_on_cpu(next(iter(MODELS.values()))),
        capture_output=True,
        text=True,
        timeout=PARSE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    parsed: dict[str, dict[str, Any]] = dict(zip(lines, answer["parsed"], strict=True))
    return Answer(
        values={name: each["values"] for name, each in parsed.items() if "values" in each},
        errors={name: each["error"] for name, each in parsed.items() if "error" in each},
        options=frozenset(answer["options"]),
        variables=frozenset(answer["variables"]),
    )


@pytest.fixture(scope="module")
def answer() -> Answer:
    lines: dict[str, Sequence[str]] = {name: engine_args(model) for name, model in MODELS.items()}
    lines |= {f"{name} on a CPU": ["/m", *flags_on_cpu(engine_args(model))] for name, model in MODELS.items()}
    # Last, behind the adapters: what follows theirs must not be taken for one.
    lines |= {
        f"{name} with traces": [*engine_args(model), *tracing_args(OTLP_GRPC)]
        for name, model in MODELS.items()
    }
    lines |= {why: ["/m", flag] for why, (flag, _) in WRONG.items()}
    lines |= {f"rank {rank}": ["/m", f"--max-lora-rank={rank}"] for rank in RANKS}
    lines |= {"abbreviated": ["/m", ABBREVIATED], "broken JSON": ["/m", BROKEN_JSON]}
    return ask(lines)


def asked(model: Model) -> dict[str, object]:
    """Return what the settings ask for, by vLLM's names."""
    weights = model.weights
    streamed = isinstance(weights, StreamedWeights)
    return {
        "model_tag": model.container_path,
        "served_model_name": [model.name],
        "host": "0.0.0.0",  # noqa: S104 - the pod's
        "port": API_PORT,
        "dtype": model.engine.dtype,
        "max_model_len": model.engine.max_model_len,
        "gpu_memory_utilization": model.engine.gpu_memory_utilization,
        "max_num_seqs": model.engine.max_num_seqs,
        "shutdown_timeout": model.lifecycle.drain_seconds,
        "middleware": [MIDDLEWARE],
        "disable_uvicorn_access_log": True,
        "tensor_parallel_size": model.gpus,
        "enable_expert_parallel": model.engine.enable_expert_parallel,
        "runner": "pooling" if model.task == "embed" else "auto",
        "trust_remote_code": model.engine.trust_remote_code is not None,
        **asked_of_adapters(model),
        "load_format": "runai_streamer" if streamed else "auto",
        "model_loader_extra_config": streamer_config(weights) if isinstance(weights, StreamedWeights) else {},
    }


def asked_of_adapters(model: Model) -> dict[str, object]:
    adapters = model.engine.adapters
    if not adapters:
        return {}
    return {
        "enable_lora": True,
        "max_loras": len(adapters),
        "max_lora_rank": max(adapter.rank for adapter in adapters),
        # As the answer has what is no JSON: the type's own words.
        "lora_modules": [
            f"LoRAModulePath(name='{adapter.name}', path='{adapter.path}', base_model_name=None, is_3d_lora_weight=False)"
            for adapter in adapters
        ],
    }


def names(flags: Sequence[str]) -> set[str]:
    """Return the flags alone: what stands behind one by itself is its value."""
    return {flag.partition("=")[0] for flag in flags if flag.startswith("--")}


@pytest.mark.parametrize("name", MODELS)
def test_vllm_understands_a_models_flags_as_the_settings_mean_them(answer: Answer, name: str) -> None:
    assert name not in answer.errors, answer.errors[name]
    wanted = asked(MODELS[name])
    assert {key: answer.values[name][key] for key in wanted} == wanted


@pytest.mark.parametrize("name", MODELS)
def test_spans_go_to_the_collector_and_nothing_else_changes(answer: Answer, name: str) -> None:
    assert f"{name} with traces" not in answer.errors, answer.errors
    traced = answer.values[f"{name} with traces"]
    assert traced == {**answer.values[name], "otlp_traces_endpoint": f"http://{OTLP_GRPC}"}


@pytest.mark.parametrize("name", MODELS)
def test_a_models_flags_are_written_out_whole(answer: Answer, name: str) -> None:
    assert names(engine_args(MODELS[name])[1:]) <= answer.options


@pytest.mark.parametrize("name", MODELS)
def test_a_models_flags_differ_from_vllms_defaults_in_nothing_that_was_not_asked(
    answer: Answer, name: str
) -> None:
    # "abbreviated" has every default but one, which is asked for here too.
    defaults = answer.values["abbreviated"]
    different = {key for key, value in answer.values[name].items() if value != defaults[key]}
    assert different <= asked(MODELS[name]).keys()


@pytest.mark.parametrize("name", MODELS)
def test_the_flags_that_tests_start_an_engine_with_are_vllms_too(answer: Answer, name: str) -> None:
    assert f"{name} on a CPU" not in answer.errors, answer.errors[f"{name} on a CPU"]


@pytest.mark.parametrize("rank", RANKS)
def test_every_rank_of_an_adapter_is_one_of_vllms(answer: Answer, rank: int) -> None:
    assert answer.values[f"rank {rank}"]["max_lora_rank"] == rank


@pytest.mark.parametrize("why", WRONG)
def test_the_parser_refuses(answer: Answer, why: str) -> None:
    assert WRONG[why][1] in answer.errors[why]


def test_an_abbreviated_flag_is_taken_and_is_not_among_the_whole_ones(answer: Answer) -> None:
    assert answer.values["abbreviated"]["max_num_seqs"] == 16
    assert not names([ABBREVIATED]) & answer.options


def test_broken_json_is_taken_as_a_text(answer: Answer) -> None:
    assert answer.values["broken JSON"]["model_loader_extra_config"] == '{"memory_limit":'


def test_what_is_changed_on_a_cpu_are_flags_of_vllm_and_of_some_model(answer: Answer) -> None:
    emitted = set[str]().union(*(names(engine_args(model)) for model in MODELS.values()))
    instead = {flag for change in CHANGED_ON_CPU.values() for flag in change.instead}
    assert CHANGED_ON_CPU.keys() <= emitted
    assert names([*CHANGED_ON_CPU, *instead, *QUICK]) <= answer.options


def test_vllm_knows_every_variable_that_bears_its_name(answer: Answer) -> None:
    given = {
        variable["name"]
        for model in MODELS.values()
        for variable in engine_environment(model, region="us-east-1")
        if variable["name"].startswith("VLLM_")
    }
    assert given
    assert given <= answer.variables
