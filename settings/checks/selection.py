"""Which pool a model runs on, and whether that pool is the right kind for it."""

from collections.abc import Iterable
from typing import Final

from settings.checks.naming import at, listed, repeated
from settings.draft import Draft
from settings.facts import instances
from settings.models import Model
from settings.pools import GpuPool, ManagedProvisioner, SpotCapacity
from settings.problems import Problem
from settings.scalars import DNS_LABEL_MAX, PREDICTOR_SUFFIX
from settings.scaling import ZoneSpread
from settings.stack import matching_pools
from settings.structure import suggest

TWO: Final = 2


def check(draft: Draft) -> list[Problem]:
    """Return the problems between models and pools."""
    problems = repeated((model.name for model in draft.models), "models", "the model name")
    for model in draft.models:
        problems += _host(model, draft)
        pool = draft.pool_of(model)
        if pool is None:
            problems += _selector(model, draft)
        else:
            problems += [*_capacity_kind(model, pool), *_reachable(model, pool), *_spread(model, pool, draft)]
    return problems


def _host(model: Model, draft: Draft) -> Iterable[Problem]:
    """KServe serves `<name>-predictor-<namespace>.<domain>`; the first part is one DNS label."""
    if draft.namespace is None:
        return
    length = len(model.name) + len(PREDICTOR_SUFFIX) + 1 + len(draft.namespace)
    if length > DNS_LABEL_MAX:
        most = DNS_LABEL_MAX - len(PREDICTOR_SUFFIX) - 1 - len(draft.namespace)
        label = f"{model.name}{PREDICTOR_SUFFIX}-{draft.namespace}"
        reason = f"its host label {label!r} has {length} characters, at most {DNS_LABEL_MAX} are possible"
        yield Problem(
            at(model, "name"), model.name, reason, f"shorten the name to {most} characters or fewer"
        )


def _selector(model: Model, draft: Draft) -> Iterable[Problem]:
    found = matching_pools(model, draft.pools)
    given = model.selector.model_dump(exclude_none=True)
    if found:
        fix = "add what tells them apart, e.g. " + listed(f"`pool: {pool.name}`" for pool in found)
        yield Problem(
            at(model, "selector"),
            given,
            f"leaves {len(found)} pools: {listed(pool.name for pool in found)}",
            fix,
        )
        return
    # A pool that did not parse may be the one that is meant; a model that is switched off needs none.
    if draft.broken_pools or not model.enabled:
        return
    gpu_pools = [pool for pool in draft.pools if isinstance(pool, GpuPool)]
    close = suggest(model.selector.pool, (pool.name for pool in gpu_pools)) if model.selector.pool else ""
    fix = f"{close}the GPU pools are: {listed(_described(pool) for pool in gpu_pools)}"
    yield Problem(at(model, "selector"), given, "no GPU pool satisfies it", fix)


def _described(pool: GpuPool) -> str:
    facts = instances().get(pool.instance_type)
    gpu = facts.gpu.type_label if facts and facts.gpu else "unknown"
    return f"{pool.name} (gpu_type {gpu}, capacity {pool.capacity.kind})"


def _capacity_kind(model: Model, pool: GpuPool) -> Iterable[Problem]:
    if model.tier == "core" and isinstance(pool.capacity, SpotCapacity):
        reason = f"a core model on the Spot pool {pool.name}, which AWS takes back with two minutes' notice"
        yield Problem(
            at(model, "selector"),
            model.selector.model_dump(exclude_none=True),
            reason,
            "select a pool of another capacity, or write `tier: best-effort`",
        )


def _reachable(model: Model, pool: GpuPool) -> Iterable[Problem]:
    """`pulumi up` waits until an enabled model is Ready: in vain, on a pool that never has a node."""
    if not model.enabled:
        return
    fix = f"raise pools[{pool.name}].max, select another pool, or write `enabled: false`"
    if pool.max == 0:
        yield Problem(
            at(model, "enabled"),
            model.enabled,
            f"can never become Ready: its pool {pool.name} has no node at most",
            fix,
        )
    elif pool.min == 0 and isinstance(pool.provisioner, ManagedProvisioner):
        managed = "is managed with min 0, and a managed pool does not grow by itself"
        reason = f"can never become Ready: its pool {pool.name} {managed}"
        yield Problem(
            at(model, "enabled"),
            model.enabled,
            reason,
            f"write pools[{pool.name}].min, use karpenter there, or write `enabled: false`",
        )


def _spread(model: Model, pool: GpuPool, draft: Draft) -> Iterable[Problem]:
    zones = draft.zones_of(pool)
    if zones and len(set(zones)) < TWO <= model.min_replicas and isinstance(model.spread, ZoneSpread):
        replicas = f"{model.min_replicas} replicas are to be spread over zones"
        reason = f"{replicas}, but the pool {pool.name} is in {zones[0]} alone"
        yield Problem(
            at(model, "spread"),
            "zones",
            reason,
            f"give pools[{pool.name}] two zones, or decide for one zone with `spread: {{kind: pack}}`",
        )
