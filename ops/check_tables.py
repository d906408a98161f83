"""The tables of `vp check`: pools, models, and the memory of one GPU of each model."""

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

_POOLS: Final = ("pool", "instance", "capacity", "zones", ">nodes", ">nodes needed", ">GPUs", "GPU")
_MODELS: Final = (
    "model",
    "tier",
    "pool",
    "rollout",
    ">replicas",
    ">GPUs each",
    ">GPUs needed",
    ">GPUs available",
)
_MEMORY: Final = (
    "model",
    "GPU",
    ">requests x tokens",
    ">weights",
    ">KV cache",
    ">overhead",
    ">total",
    ">budget",
    ">headroom",
)


def show(summary: dict[str, Any], console: "Console") -> None:
    """Print the summary of a stack whose settings are good."""
    where = f"{summary['cluster']} in {summary['region']}, namespace {summary['namespace']}"
    console.print(
        f"stack {summary['stack']} ({summary['environment']}): {where}: no problems", highlight=False
    )
    console.print(_table("Pools", _POOLS, [_pool(pool) for pool in summary["pools"]]))
    console.print(
        _table(
            "Models, with a rollout's extra replicas", _MODELS, [_model(model) for model in summary["models"]]
        )
    )
    rows = [_memory(model) for model in summary["models"] if model["memory"]]
    console.print(_table("Memory of one GPU, MiB", _MEMORY, rows))
    if summary["may_be_at_zero"]:
        names = ", ".join(summary["may_be_at_zero"])
        answered = "whoever asks first is answered with 503 until a replica is up, which takes minutes"
        console.print(f"may have no replica: {names}: {answered}", highlight=False, soft_wrap=True)
    if summary["nobody_is_told_of_alerts"]:
        line = "nobody is told of alerts: write observability.alerting, or look at Alertmanager yourself"
        console.print(line, highlight=False, soft_wrap=True)
    if summary["example_digests"]:
        names = ", ".join(summary["example_digests"])
        console.print(f"example digest, refused by `pulumi up`: {names}", highlight=False, soft_wrap=True)


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """Make a table; a column whose name begins with '>' holds numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _pool(pool: dict[str, Any]) -> tuple[str, ...]:
    zones, needed = ", ".join(pool["zones"]), pool.get("nodes_needed")
    gpus = _span(pool["gpus"]) if pool["gpu"] else "-"
    return (
        pool["name"],
        pool["instance"],
        pool["capacity"],
        zones,
        _span(pool["nodes"]),
        _span(needed) if needed else "-",
        gpus,
        pool["gpu"] or "-",
    )


def _model(model: dict[str, Any]) -> tuple[str, ...]:
    extra = f" +{model['extra_replicas']}" if model["extra_replicas"] else ""
    return (
        f"{model['name']}{_state(model)}",
        model["tier"],
        model["pool"] or "-",
        _rollout(model["rollout"]),
        _span(model["replicas"]) + extra,
        str(model["gpus_per_replica"]),
        _span(model["gpus_needed"]) if model["enabled"] else "-",
        str(model["gpus_available"]),
    )


def _state(model: dict[str, Any]) -> str:
    if not model["enabled"]:
        return " (off)"
    return " (stopped)" if model["stopped"] else ""


def _rollout(rollout: dict[str, Any]) -> str:
    """Say how a new version comes in, and while one does, the traffic that this version has."""
    if "weight" in rollout:
        return f"{rollout['weight']} % of the traffic"
    return " ".join([rollout["kind"], *map(str, rollout.get("steps", []))])


def _memory(model: dict[str, Any]) -> tuple[str, ...]:
    memory = model["memory"]
    figures = ("weights_mib", "kv_mib", "overhead_mib", "total_mib", "budget_mib", "headroom_mib")
    asked = f"{memory['requests']} x {memory['tokens']:,}"
    return (model["name"], memory["gpu"], asked, *(f"{memory[figure]:,}" for figure in figures))


def _span(bounds: list[int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low}-{high}"
