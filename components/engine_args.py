"""Arguments of `vllm serve` (0.32) for one model. It is the image's entrypoint, so a pod has no command."""

import json
from collections.abc import Sequence
from typing import Final

from settings.adapters import Adapter, largest_rank
from settings.models import Model
from settings.weights import StreamedWeights

API_PORT: Final = 8000
METRICS_PORT_NAME: Final = "http-metrics"
METRICS_PORT: Final = 8001
"""The image's middleware serves /metrics here, so that an L4 policy can admit Prometheus to nothing else."""

MIDDLEWARE: Final = "vllm_platform_middleware.Middleware"
"""Of the image (docker/vllm): the log of requests, readiness, the content filter, the port of metrics."""

# Without a bound the streamer holds up to 40 GB of host memory per process, and there is one process per
# GPU: four of them pass any sensible memory limit. 5 GiB is the value of vLLM's own example and keeps a 100
# Gbit/s stream busy.
STREAMER_MEMORY_BYTES: Final = 5 * 2**30


def engine_args(model: Model) -> list[str]:
    """Return the arguments in a fixed order, a flag and its value in one string: a diff shows one line."""
    engine = model.engine
    args = [
        model.container_path,
        f"--served-model-name={model.served_name}",
        "--host=0.0.0.0",
        f"--port={API_PORT}",
        f"--dtype={engine.dtype}",
        f"--max-model-len={engine.max_model_len}",
        f"--gpu-memory-utilization={engine.gpu_memory_utilization:g}",
        f"--max-num-seqs={engine.max_num_seqs}",
        # The default, 0, aborts running generations on SIGTERM.
        f"--shutdown-timeout={model.lifecycle.drain_seconds}",
        f"--middleware={MIDDLEWARE}",
        # Its lines hold what a client writes into an address, and the middleware's say more.
        "--disable-uvicorn-access-log",
    ]
    if model.gpus > 1:
        args.append(f"--tensor-parallel-size={model.gpus}")
    if engine.enable_expert_parallel:
        args.append("--enable-expert-parallel")
    if model.task == "embed":
        args.append("--runner=pooling")
    if engine.trust_remote_code is not None:
        args.append("--trust-remote-code")
    args += _adapter_args(engine.adapters)
    if isinstance(model.weights, StreamedWeights):
        extra = json.dumps(streamer_config(model.weights), separators=(",", ":"))
        args += ["--load-format=runai_streamer", f"--model-loader-extra-config={extra}"]
    return args


def tracing_args(collector: str | None) -> list[str]:
    """Return what has the engine send a span of each request. `collector`: host and port of OTLP over gRPC; None is none."""
    return [] if collector is None else [f"--otlp-traces-endpoint=http://{collector}"]


def streamer_config(weights: StreamedWeights) -> dict[str, int | bool]:
    """Return what vLLM hands to the streamer: it refuses keys that it does not know."""
    config: dict[str, int | bool] = {"memory_limit": STREAMER_MEMORY_BYTES}
    if weights.concurrency is not None:
        config["concurrency"] = weights.concurrency
    return config | {"distributed": True} if weights.distributed else config


def _adapter_args(adapters: Sequence[Adapter]) -> list[str]:
    """Return the flags of LoRA. The last one takes all that follow it up to the next flag: written again, it would forget the first."""
    if not adapters:
        return []
    return [
        "--enable-lora",
        f"--max-loras={len(adapters)}",
        f"--max-lora-rank={largest_rank(adapters)}",
        "--lora-modules",
        *(f"{adapter.name}={adapter.path}" for adapter in adapters),
    ]
