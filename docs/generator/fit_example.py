"""The memory fit of one model of one stack, step by step, with the figures that the checks compute."""

from docs.generator.tables import table
from ops.fit_text import limit_lines, memory_lines
from settings import Settings
from settings.fit import memory_fit


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
    lines = [*memory_lines(facts, engine, gpu, fit), *limit_lines(engine, fit)]
    requests = f"{engine.max_num_seqs} requests of {engine.max_model_len:,} tokens"
    head = f"`{name}`: {model.model}, {model.gpus} x {gpu.name}, {requests}. MiB of one GPU:"
    rows = ((line.what.strip(), line.amount, line.how) for line in lines)
    return f"{head}\n\n{table(('', 'MiB', 'how'), rows)}"
