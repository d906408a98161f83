"""`vp check`: what is wrong with a stack's settings, or what they add up to.

Reads the stack file and the facts, nothing else: no Pulumi, no cluster, no network. It answers in well under a
second.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from settings.fit import memory_fit
from settings.loader import load_stack_file
from settings.models import Model
from settings.packing import demand_of, gpus_of, nodes_needed, room_of
from settings.pools import GpuPool, Pool
from settings.problems import Problem, SettingsError
from settings.rollout import WHOLE, RollingRollout
from settings.stack import Settings
from settings.versions import Canary, most_at_once, versions_of

if TYPE_CHECKING:
    from rich.console import Console

Output = Literal["text", "json"]
# Where the output is no terminal (a log, a pull request), the tables keep their columns.
LOG_WIDTH = 150


def check(stack: str, root: Path, output: Output = "text", console: "Console | None" = None) -> int:
    """Check Pulumi.STACK.yaml in `root`; print its problems or its summary. Return 1 for problems, else 0."""
    out = console or _console()
    try:
        settings = load_stack_file(root / f"Pulumi.{stack}.yaml")
    except SettingsError as error:
        if output == "json":
            _write_json(
                out, {"stack": stack, "ok": False, "problems": [_problem(one) for one in error.problems]}
            )
        else:
            out.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    summary = {"stack": stack, "ok": True, **summarize(settings)}
    if output == "json":
        _write_json(out, summary)
    else:
        from ops.check_tables import show  # noqa: PLC0415 - JSON needs no tables

        show(summary, out)
    return 0


def summarize(settings: Settings) -> dict[str, Any]:
    """Return what the settings add up to, as plain values: pools, models, memory of one GPU of each model."""
    return {
        "environment": settings.environment,
        "cluster": settings.cluster.kind,
        "region": settings.cluster.region,
        "namespace": settings.namespace,
        "pools": [_pool(pool, settings) for pool in settings.pools],
        "models": [
            _model(settings, model, version, most)
            for model in settings.models
            for version, (_, most) in zip(versions_of(model), most_at_once(model), strict=True)
        ],
        "example_digests": settings.example_digests(),
        "nobody_is_told_of_alerts": settings.asked.choice("prometheus") == "managed"
        and settings.observability.alerting is None,
        "may_be_at_zero": [model.name for model in settings.enabled_models if model.min_replicas == 0],
    }


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - 80 ms that callers with a console of their own save

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def _write_json(console: "Console", value: object) -> None:
    console.print(json.dumps(value, indent=2), markup=False, highlight=False, soft_wrap=True)


def _problem(problem: Problem) -> dict[str, str | None]:
    value = None if problem.value is None else problem.shown_value
    return {"path": problem.path, "value": value, "reason": problem.reason, "fix": problem.fix}


def _pool(pool: Pool, settings: Settings) -> dict[str, Any]:
    per_node = pool.instance.gpu.count if pool.instance.gpu else 0
    entry: dict[str, Any] = {
        "name": pool.name,
        "instance": pool.instance_type,
        "capacity": pool.capacity.kind,
        "provisioner": pool.provisioner.kind,
        "zones": list(settings.zones_of(pool)),
        "nodes": [pool.min, pool.max],
        "gpu": pool.instance.gpu.type_label if pool.instance.gpu else None,
        "gpus": [pool.min * per_node, pool.max * per_node],
    }
    if isinstance(pool, GpuPool):
        room = room_of(pool.instance)
        held = [model for model in settings.enabled_models if settings.pool_of(model).name == pool.name]
        least = [(version, version.min_replicas) for model in held for version in versions_of(model)]
        most = [pair for model in held for pair in most_at_once(model)]
        entry["nodes_needed"] = [
            nodes_needed([(demand_of(version), count) for version, count in counts], room)
            for counts in (least, most)
        ]
    return entry


def _model(settings: Settings, model: Model, version: Model, most: int) -> dict[str, Any]:
    """Return one row: a model, or the candidate of its rollout. `most`: its replicas when the rollout needs the most."""
    entry: dict[str, Any] = {
        "name": version.name,
        "model": version.model,
        "tier": version.tier,
        "enabled": version.enabled,
        "stopped": version.stopped,
        "scaler": version.autoscaling.kind,
        "replicas": [version.min_replicas, version.max_replicas],
        "extra_replicas": max(0, most - version.max_replicas),
        "rollout": _rollout(model, version),
        "gpus_per_replica": version.gpus,
        "gpus_needed": [version.min_replicas * version.gpus, most * version.gpus],
    }
    try:
        pool = settings.pool_of(version)
    except LookupError:  # a model that is switched off may have no pool
        return {**entry, "pool": None, "gpus_available": 0, "memory": None}
    fit = memory_fit(version.facts, version.engine, pool.gpu)
    memory = {
        "gpu": pool.gpu.name,
        "requests": version.engine.max_num_seqs,
        "tokens": version.engine.max_model_len,
        "weights_mib": fit.weights_mib,
        "kv_mib": fit.kv_mib,
        "overhead_mib": fit.overhead_mib,
        "total_mib": fit.total_mib,
        "budget_mib": fit.budget_mib,
        "headroom_mib": fit.headroom_mib,
        "most_sequences": fit.most_sequences,
    }
    return {**entry, "pool": pool.name, "gpus_available": gpus_of(pool), "memory": memory}


def _rollout(model: Model, version: Model) -> dict[str, Any]:
    """Return the kind, a canary's steps, and while a rollout is under way its step and this version's share."""
    rollout = model.rollout
    if isinstance(rollout, RollingRollout):
        return {"kind": rollout.kind}
    found: dict[str, Any] = {"kind": rollout.kind, "steps": list(rollout.steps)}
    if rollout.candidate is None:
        return found
    weight = rollout.weight if isinstance(version, Canary) else WHOLE - rollout.weight
    return {**found, "step": rollout.candidate.step, "weight": weight}
