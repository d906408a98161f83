"""Whether a pool at its largest can hold all replicas at their most, a rollout's extra ones included."""

from collections.abc import Iterable

from settings.checks.naming import at
from settings.draft import Draft
from settings.facts import instances
from settings.models import Model
from settings.packing import demand_of, fits_on, nodes_needed, room_of
from settings.pools import GpuPool
from settings.problems import Problem
from settings.rollout import CanaryRollout
from settings.versions import Canary, most_at_once


def check(draft: Draft) -> list[Problem]:
    """Return the pools that are too small for their models."""
    return [problem for pool in draft.pools if isinstance(pool, GpuPool) for problem in _pool(pool, draft)]


def _pool(pool: GpuPool, draft: Draft) -> Iterable[Problem]:
    facts = instances().get(pool.instance_type)
    if facts is None or facts.gpu is None or pool.max == 0:
        return
    room = room_of(facts)
    # A replica that fits on no node is a problem of its own.
    held = [
        (version, count)
        for model in draft.models_on(pool)
        for version, count in most_at_once(model)
        if fits_on(demand_of(version), room)
    ]
    needed = nodes_needed(((demand_of(version), count) for version, count in held), room)
    if needed > pool.max:
        gpus = sum(count * version.gpus for version, count in held)
        sums = "; ".join(_replicas(version, count) for version, count in held)
        has = f"{pool.max} ({pool.max * facts.gpu.count} GPUs)"
        reason = f"its models need {needed} nodes ({gpus} GPUs) at most, the pool has {has}: {sums}"
        yield Problem(
            at(pool, "max"), pool.max, reason, f"write max: {needed}, or {_less(draft.models_on(pool))}"
        )


def _replicas(version: Model, count: int) -> str:
    each = f"{version.gpus} GPU{'s' if version.gpus > 1 else ''} each"
    rollout = version.rollout
    if isinstance(version, Canary) or (isinstance(rollout, CanaryRollout) and rollout.candidate is not None):
        return f"{version.name} has {count} at the step that takes the most, {each}"
    extra = version.extra_replicas
    update = (
        "a canary's last step, both versions side by side"
        if isinstance(rollout, CanaryRollout)
        else "an update"
    )
    more = f" + {extra} during {update}" if extra else ""
    return f"{version.name} has {version.max_replicas}{more}, {each}"


def _less(models: Iterable[Model]) -> str:
    """Say what else would help: for a canary, to replace replicas where they are."""
    choices = "lower the models' largest number of replicas"
    if any(isinstance(model.rollout, CanaryRollout) for model in models):
        return f"{choices}, or write `rollout: {{kind: rolling}}`, which replaces a few replicas at a time"
    return f"{choices} or their max_surge"
