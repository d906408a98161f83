"""What vLLM itself makes of models: weights of one GPU, and the KV cache that a given memory holds. Run with the Python of .venv-engine.

stdin: a JSON list of cases (`Case`). stdout, last line: a JSON list of `Answer`, and of `{"error": ...}` where vLLM refuses.

Models are built without memory (PyTorch's meta device), as the first of several GPUs would build them. What only a GPU
has is left out: the group of processes is a pretence, and no kernel is chosen for quantized experts, since none runs.
"""

import importlib
import json
import logging
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict


class Case(TypedDict):
    """One model on several GPUs. asked: pairs of `max_model_len` and the bytes that there are for the KV cache."""

    config: dict[str, Any]
    pooling: bool
    tensor_parallel_size: int
    enable_expert_parallel: bool
    asked: list[tuple[int, int]]


class Held(TypedDict):
    """What a memory holds: vLLM's refusal, or blocks, of `block_size` tokens each, and requests of full length at once, as vLLM counts them."""

    refusal: str | None
    blocks: int
    block_size: int
    concurrency: float


class Answer(TypedDict):
    """What vLLM says of a case. token_bytes: KV cache of one token on one GPU."""

    weight_bytes: int
    default_block_size: int
    block_size: int
    token_bytes: float
    held: list[Held]


def module(name: str) -> Any:  # noqa: ANN401 - where types are checked vLLM is not installed
    """Return a module of vLLM or PyTorch."""
    return importlib.import_module(name)


class NoCpu:
    """A platform that does not say that it is a CPU."""

    def __init__(self, platform: Any) -> None:  # noqa: ANN401
        self._platform = platform

    def is_cpu(self) -> bool:
        """Say no."""
        return False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._platform, name)


def pretend() -> None:
    """Take the place of what needs other processes, or a GPU, to answer."""
    state, distributed = module("vllm.distributed.parallel_state"), module("torch.distributed")
    make, group = state.init_model_parallel_group, distributed.new_group
    backends = module("vllm.model_executor.layers.fused_moe.oracle.int_wna16").WNA16MoEBackend

    def alone(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        return make(
            *args, **options | {"use_device_communicator": False, "use_message_queue_broadcaster": False}
        )

    def made_up(ranks: list[int] | None = None, **_: object) -> Any:  # noqa: ANN401
        return group(ranks, backend="fake")

    def together(group: Any, *_: object, **__: object) -> list[bool]:  # noqa: ANN401
        return [True] * group.size()

    def no_words(_: object) -> str:
        return ""

    def marlin(*_: object, **__: object) -> tuple[Any, None]:
        return backends.MARLIN, None

    state.init_model_parallel_group = alone
    state.in_the_same_node_as = together
    distributed.new_group = made_up
    # For a line in the log it looks into a tensor, which has no values here.
    experts = module("vllm.model_executor.layers.fused_moe.expert_map_manager").ExpertMapManager
    experts.get_compressed_map_string = no_words
    quantization = "vllm.model_executor.layers.quantization"
    for name in ("auto_gptq", "moe_wna16"):
        module(f"{quantization}.{name}").select_wna16_moe_backend = marlin
    # On a CPU, AWQ takes another way, on which quantized groups may be cut; this is where a GPU's ends with such groups.
    awq = module(f"{quantization}.auto_awq")
    awq.current_platform = NoCpu(awq.current_platform)


@contextmanager
def processes(count: int) -> Generator[None]:
    """Be the first of so many processes, one for each GPU."""
    distributed, state = module("torch.distributed"), module("vllm.distributed.parallel_state")
    store = module("torch.testing._internal.distributed.fake_pg").FakeStore()
    distributed.init_process_group("fake", rank=0, world_size=count, store=store)
    try:
        state.init_distributed_environment(
            world_size=count, rank=0, distributed_init_method="env://", local_rank=0, backend="fake"
        )
        state.initialize_model_parallel(count, backend="fake")
        yield
    finally:
        state.destroy_model_parallel()
        state.destroy_distributed_environment()


def answer(case: Case, folder: Path) -> Answer:
    """Build a case's model and ask for its KV cache. Raises ValueError and others where vLLM refuses."""
    torch, cache = module("torch"), module("vllm.v1.core.kv_cache_utils")
    (folder / "config.json").write_text(json.dumps(case["config"]), encoding="utf-8")
    config_type = module("vllm.config.cache").CacheConfig
    config = (
        module("vllm.engine.arg_utils")
        .EngineArgs(
            model=str(folder),
            skip_tokenizer_init=True,
            load_format="dummy",
            enforce_eager=True,
            runner="pooling" if case["pooling"] else "auto",
            block_size=config_type.DEFAULT_BLOCK_SIZE,
            tensor_parallel_size=case["tensor_parallel_size"],
            enable_expert_parallel=case["enable_expert_parallel"],
        )
        .create_engine_config()
    )
    config.cache_config.kv_cache_layout = "LBNHC"
    default = torch.get_default_dtype()
    with module("vllm.config").set_current_vllm_config(config), processes(case["tensor_parallel_size"]):
        torch.set_default_dtype(config.model_config.dtype)
        try:
            with torch.device("meta"):
                model = module("vllm.model_executor.model_loader.utils").initialize_model(config)
        finally:
            torch.set_default_dtype(default)
        layers = config.compilation_config.static_forward_context.items()
        specs = {
            name: layer.get_kv_cache_spec(config)
            for name, layer in layers
            if hasattr(layer, "get_kv_cache_spec")
        }

    def held(length: int, memory: int) -> Held:
        # As vLLM does itself, when it looks for the longest context that a memory holds.
        config.model_config.max_model_len = length
        size = next(iter(specs.values())).block_size
        try:
            found = cache.get_kv_cache_configs(config, [dict(specs)], [memory])[0]
        except ValueError as refusal:
            return Held(refusal=str(refusal), blocks=0, block_size=size, concurrency=0)
        concurrency = cache.get_max_concurrency_for_kv_cache_config(config, found)
        return Held(refusal=None, blocks=found.num_blocks, block_size=size, concurrency=concurrency)

    return Answer(
        weight_bytes=sum(each.numel() * each.element_size() for each in model.parameters()),
        default_block_size=config_type.DEFAULT_BLOCK_SIZE,
        block_size=next(iter(specs.values())).block_size,
        token_bytes=sum(spec.page_size_bytes / spec.block_size for spec in specs.values()),
        held=[held(length, memory) for length, memory in case["asked"]],
    )


def main() -> None:
    """Answer every case."""
    cases: list[Case] = json.load(sys.stdin)
    logging.disable(logging.WARNING)
    pretend()
    answers: list[Answer | dict[str, str]] = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                answers.append(answer(case, Path(folder)))
            except Exception as refusal:  # noqa: BLE001 - pydantic, quantizations and layers each refuse in their own way
                answers.append({"error": f"{type(refusal).__name__}: {refusal}"})
    print(json.dumps(answers))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
