"""Node pools: sizes, instance types, zones and placement."""

from collections.abc import Iterable
from typing import Final

from settings.checks.cluster import zone_problems
from settings.checks.naming import at, listed, repeated
from settings.cluster import ExistingCluster
from settings.draft import Draft
from settings.facts import instances, offered_zones, offering_regions
from settings.pools import CapacityBlock, GpuPool, ManagedProvisioner, Pool, ReservedCapacity
from settings.problems import Problem
from settings.structure import suggest

_PLACEMENTS: Final = "{kind: single-zone}, {kind: spread} or {kind: cluster-group}"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the pools, each by itself and against the cluster."""
    problems = repeated((pool.name for pool in draft.pools), "pools", "the pool name")
    if not draft.pools and not draft.broken_pools:
        problems.append(
            Problem(
                "pools",
                None,
                "there is no pool, so no node could come up",
                "add at least one pool of kind cpu and one of kind gpu",
            )
        )
    for pool in draft.pools:
        problems += [*_size(pool), *_instance(pool), *_zones(pool, draft), *_placement(pool, draft)]
    return problems


def _size(pool: Pool) -> Iterable[Problem]:
    if pool.min > pool.max:
        yield Problem(
            at(pool, "min"),
            pool.min,
            f"min is above max ({pool.max})",
            f"write a min of at most {pool.max}, or raise max",
        )
    elif isinstance(pool.provisioner, ManagedProvisioner) and pool.min != pool.max:
        sizes = f"min {pool.min} and max {pool.max}"
        reason = f"a managed node group does not scale by itself, so {sizes} can not both hold"
        yield Problem(
            at(pool, "min"),
            pool.min,
            reason,
            f"write min: {pool.max} and max: {pool.max}, or use `provisioner: {{kind: karpenter}}`",
        )


def _instance(pool: Pool) -> Iterable[Problem]:
    facts = instances().get(pool.instance_type)
    path = at(pool, "instance_type")
    with_gpu = [name for name, each in instances().items() if each.gpu]
    without = [name for name, each in instances().items() if not each.gpu]
    known = with_gpu if isinstance(pool, GpuPool) else without
    if facts is None:
        close = suggest(pool.instance_type, instances())
        yield Problem(
            path,
            pool.instance_type,
            "there are no facts about this instance type",
            f"{close}use one of: {listed(known)}",
        )
    elif isinstance(pool, GpuPool) and facts.gpu is None:
        yield Problem(
            path,
            pool.instance_type,
            "a pool of kind gpu, but the instance type has no GPU",
            f"use one of: {listed(known)}, or write `kind: cpu`",
        )
    elif not isinstance(pool, GpuPool) and facts.gpu is not None:
        reason = f"a pool of kind cpu, but the instance type has {facts.gpu.count} x {facts.gpu.name}"
        yield Problem(path, pool.instance_type, reason, f"use one of: {listed(known)}, or write `kind: gpu`")


def _zones(pool: Pool, draft: Draft) -> Iterable[Problem]:
    cluster = draft.cluster
    if cluster is None:
        return
    if pool.zones is not None:
        yield from zone_problems(pool.zones, cluster.region, at(pool, "zones"))
        for index, zone in enumerate(pool.zones):
            if zone not in cluster.zones and not zone_problems([zone], cluster.region, ""):
                fix = f"use zones of the cluster: {listed(cluster.zones)}, or add {zone} to cluster.zones"
                yield Problem(
                    f"{at(pool, 'zones')}[{index}]", zone, "the cluster has no subnet in this zone", fix
                )
    if not isinstance(cluster, ExistingCluster):
        yield from _offered(pool, pool.zones or cluster.zones, cluster.region)


def _offered(pool: Pool, zones: tuple[str, ...], region: str) -> Iterable[Problem]:
    """Compare the number of zones with how many offer the type; which ones these are differs by account."""
    offered = offered_zones(pool.instance_type, region)
    path = at(pool, "instance_type")
    if offered == 0:
        regions = offering_regions(pool.instance_type)
        elsewhere = f", or a region that offers it: {listed(regions)}" if regions else ""
        fix = f"use another instance type{elsewhere}"
        yield Problem(path, pool.instance_type, f"not offered in {region}", fix)
    elif offered is not None and len(set(zones)) > offered:
        reason = f"offered in {offered} of the zones of {region}, but the pool spans {len(set(zones))}"
        yield Problem(
            path, pool.instance_type, reason, f"write `zones:` with at most {offered} of {listed(zones)}"
        )


def _placement(pool: Pool, draft: Draft) -> Iterable[Problem]:
    zones = draft.zones_of(pool)
    if isinstance(pool.capacity, ReservedCapacity | CapacityBlock) and zones and len(zones) > 1:
        reason = f"a reservation lies in one zone, but the pool spans {len(zones)}"
        yield Problem(
            at(pool, "zones"),
            list(zones),
            reason,
            f"write `zones:` with the zone of {pool.capacity.reservation} alone",
        )
    if not isinstance(pool, GpuPool):
        return
    facts = instances().get(pool.instance_type)
    if pool.placement is None:
        if facts is not None and facts.needs_placement:
            reason = f"{pool.instance_type} is scarce and costly: where its nodes stand must be decided"
            yield Problem(at(pool, "placement"), None, reason, f"add `placement:` with {_PLACEMENTS}")
    elif zones and pool.placement.kind == "spread" and len(zones) == 1:
        reason = f"spread over zones is asked, but the pool has the zone {zones[0]} alone"
        yield Problem(
            at(pool, "placement"),
            "spread",
            reason,
            "give the pool two zones, or write `placement: {kind: single-zone}`",
        )
    elif zones and pool.placement.kind != "spread" and len(zones) > 1:
        reason = f"{pool.placement.kind} means one zone, but the pool spans {len(zones)}"
        yield Problem(at(pool, "zones"), list(zones), reason, "write `zones:` with one zone")
