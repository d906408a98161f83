"""Whether a pool at its largest can hold all replicas at their most, a rollout's extra ones included."""

from collections.abc import Iterable

from settings.checks.naming import at
from settings.draft import Draft
from settings.facts import instances
from settings.models import Model
from settings.packing import demand_of, fits_on, nodes_needed, replicas_at_most, room_of
from settings.pools import GpuPool
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the pools that are too small for their models."""
    return [problem for pool in draft.pools if isinstance(pool, GpuPool) for problem in _pool(pool, draft)]


def _pool(pool: GpuPool, draft: Draft) -> Iterable[Problem]:
    facts = instances().get(pool.instance_type)
    if facts is None or facts.gpu is None or pool.max == 0:
        return
    room = room_of(facts)
    # A replica that fits on no node is a problem of its own.
    held = [model for model in draft.models_on(pool) if fits_on(demand_of(model), room)]
    needed = nodes_needed(((demand_of(model), replicas_at_most(model)) for model in held), room)
    if needed > pool.max:
        gpus = sum(replicas_at_most(model) * model.gpus for model in held)
        sums = "; ".join(_replicas(model) for model in held)
        has = f"{pool.max} ({pool.max * facts.gpu.count} GPUs)"
        reason = f"its models need {needed} nodes ({gpus} GPUs) at most, the pool has {has}: {sums}"
        yield Problem(
            at(pool, "max"),
            pool.max,
            reason,
            f"write max: {needed}, or lower the models' largest number of replicas or their max_surge",
        )


def _replicas(model: Model) -> str:
    extra = model.rollout.extra_replicas
    update = f" + {extra} during an update" if extra else ""
    return (
        f"{model.name} has {model.max_replicas}{update}, {model.gpus} GPU{'s' if model.gpus > 1 else ''} each"
    )
