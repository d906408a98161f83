"""The memory fit of one model of one stack, step by step, with the figures that the checks compute."""

from docs.generator.tables import table
from settings import Model, Settings
from settings.fit import (
    ACTIVATION_BYTES,
    BATCHED_TOKENS,
    COLLECTIVES_MIB,
    CONTEXT_MIB,
    GRAPHS_MIB,
    KV_BYTES,
    LIVE_PER_HIDDEN,
    memory_fit,
)
from settings.scalars import MIB


def fit_table(settings: Settings) -> str:
    """Return one row a model, enabled or not: what stands on one GPU, in MiB."""
    rows: list[tuple[str, ...]] = []
    for model in settings.models:
        gpu = settings.pool_of(model).gpu
        fit = memory_fit(model.facts, model.engine, gpu)
        figures = (fit.budget_mib, fit.weights_mib, fit.kv_mib, fit.overhead_mib, fit.headroom_mib)
        rows.append((f"`{model.name}`", f"{model.gpus} x {gpu.name}", *(f"{figure:,}" for figure in figures)))
    return table(("model", "GPUs", "budget", "weights", "KV cache", "overhead", "left"), rows)


def worked_example(settings: Settings, name: str) -> str:
    """Return the arithmetic of one model, line by line, as Markdown."""
    model = next(model for model in settings.models if model.name == name)
    facts, engine, gpu = model.facts, model.engine, settings.pool_of(model).gpu
    fit = memory_fit(facts, engine, gpu)
    parallel = engine.tensor_parallel_size
    heads = max(1, -(-facts.kv_heads // parallel))
    token_bytes = 2 * facts.layers * heads * facts.head_size * KV_BYTES
    requests = f"{engine.max_num_seqs} requests of {engine.max_model_len:,} tokens"
    token = (
        f"2 (key and value) x {facts.layers} layers x {heads} KV heads x {facts.head_size} x {KV_BYTES} bytes"
    )
    parts = {
        "Budget": f"{gpu.cuda_mib:,} MiB that CUDA sees x {engine.gpu_memory_utilization} = {fit.budget_mib:,} MiB",
        "Weights": f"{facts.weight_bytes:,} bytes / {parallel} = {fit.weights_mib:,} MiB",
        "KV cache of one token": f"{token} = {token_bytes:,} bytes",
        "KV cache": f"{requests} = {fit.kv_mib:,} MiB",
        "Overhead": f"{_overhead(model)} = {fit.overhead_mib:,} MiB",
        "Sum": f"{fit.total_mib:,} MiB of {fit.budget_mib:,} MiB; {fit.headroom_mib:,} MiB are left",
        "Limits": (
            f"up to {fit.most_sequences} requests at once of this length, "
            f"or up to {fit.longest_context:,} tokens each for this number of requests"
        ),
    }
    head = f"`{name}`: {model.model}, {parallel} x {gpu.name}, {requests}. All figures are of one GPU."
    return head + "\n\n" + "\n".join(f"- {what}: {sum_}." for what, sum_ in parts.items())


def _overhead(model: Model) -> str:
    parallel = model.engine.tensor_parallel_size
    activations = BATCHED_TOKENS * model.facts.hidden_size * LIVE_PER_HIDDEN * ACTIVATION_BYTES // MIB
    parts = [f"CUDA context {CONTEXT_MIB}", f"CUDA graphs {GRAPHS_MIB:,}", f"a forward pass {activations:,}"]
    if parallel > 1:
        parts.append(f"collectives {COLLECTIVES_MIB:,}")
    return " + ".join(parts)
