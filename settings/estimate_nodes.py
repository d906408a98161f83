"""What nodes cost: how many there are of each pool, their disks, and what of them is each model's."""

from collections.abc import Iterable, Iterator
from typing import Final

from settings.cluster import EksCluster
from settings.cost_lines import HOURS, Line, ModelShare, Span, always
from settings.facts import Prices
from settings.models import Model
from settings.node_hardware import GP3_THROUGHPUT, disks
from settings.packing import demand_of, nodes_needed, room_of
from settings.pools import GpuPool, ManagedProvisioner, Pool
from settings.price_list import ServicePrices
from settings.stack import Settings
from settings.versions import Canary, versions_of

NOTES: Final = {
    "spot": "at the price on demand, which Spot never exceeds",
    "reserved": "what runs; a reservation is billed while it lasts, used or not",
    "capacity-block": "at the price on demand; a Capacity Block is paid ahead, at its own price",
}


def node_lines(settings: Settings, listed: Prices, beside: ServicePrices) -> Iterator[Line]:
    """Yield the nodes of each pool, then their disks."""
    counted = [(pool, node_counts(settings, pool)) for pool in settings.pools]
    for pool, nodes in counted:
        own = settings.cost.of_pool(pool.name).hourly
        yield Line(
            group="nodes",
            name=f"{pool.name}, {pool.instance_type}",
            quantity=nodes,
            unit="node",
            price=_monthly(node_hourly(settings, pool, listed)),
            note="the stack's own price" if own else NOTES.get(pool.capacity.kind, ""),
        )
    if isinstance(settings.cluster, EksCluster):
        for pool, nodes in counted:
            yield from _disk_lines(pool, nodes, beside, settings.cluster.region)


def node_counts(settings: Settings, pool: Pool) -> Span:
    """Return how many nodes of a pool there are. Those of Karpenter's come with the replicas that ask for them."""
    if isinstance(pool.provisioner, ManagedProvisioner):
        return always(pool.max)
    held = _models_on(settings, pool)
    low = _within(pool, _needed(pool, ((one, one.min_replicas) for one in held)))
    own = settings.cost.of_pool(pool.name).nodes
    expected = (
        _needed(pool, ((one, expected_replicas(settings, one)) for one in held)) if own is None else own
    )
    # A GPU node comes for a replica and for nothing else.
    high = pool.max if held or not isinstance(pool, GpuPool) else pool.min
    return Span(low=low, expected=_within(pool, expected), high=high)


def expected_replicas(settings: Settings, model: Model) -> int:
    """Return how many replicas a model has on average: what the stack says, else its fewest. A candidate has its fewest."""
    own = None if isinstance(model, Canary) else settings.cost.of_model(model.name).replicas
    return model.min_replicas if own is None else own


def node_hourly(settings: Settings, pool: Pool, listed: Prices) -> float | None:
    """Return what an hour of a node costs: by the stack's own word, else by the list; None where neither says."""
    return settings.cost.of_pool(pool.name).hourly or listed.hourly(
        pool.instance_type, settings.cluster.region
    )


def model_shares(settings: Settings, listed: Prices, beside: ServicePrices) -> tuple[ModelShare, ...]:
    """Return what each version of a model costs that is deployed and not stopped."""
    return tuple(
        _share(settings, pool, model, listed, beside)
        for pool in settings.gpu_pools
        for model in _models_on(settings, pool)
    )


def _share(
    settings: Settings, pool: GpuPool, model: Model, listed: Prices, beside: ServicePrices
) -> ModelShare:
    node = _monthly(node_hourly(settings, pool, listed))
    if isinstance(settings.cluster, EksCluster):
        of_disks = [line.monthly for line in _disk_lines(pool, always(1), beside, settings.cluster.region)]
        node = None if node is None or None in of_disks else node + sum(one.low for one in of_disks if one)
    replica = None if node is None else node * model.gpus / pool.gpu.count
    stable = model.stable if isinstance(model, Canary) else model.name
    told = settings.cost.of_model(stable).throughput
    return ModelShare(
        name=model.name,
        pool=pool.name,
        replicas=Span(
            low=model.min_replicas, expected=expected_replicas(settings, model), high=model.max_replicas
        ),
        replica_monthly=replica,
        per_million_tokens=(
            None
            if replica is None or told is None
            else replica / HOURS / (told.tokens_per_second * 3600) * 1_000_000
        ),
        throughput=None if told is None else (told.tokens_per_second, told.kind, told.source),
    )


def _models_on(settings: Settings, pool: Pool) -> list[Model]:
    """Return the versions of models that have pods on a pool."""
    if not isinstance(pool, GpuPool):
        return []
    return [
        version
        for model in settings.enabled_models
        if not model.stopped and settings.pool_of(model).name == pool.name
        for version in versions_of(model)
    ]


def _needed(pool: Pool, replicas: Iterable[tuple[Model, int]]) -> int:
    return nodes_needed(((demand_of(model), count) for model, count in replicas), room_of(pool.instance))


def _within(pool: Pool, nodes: int) -> int:
    return max(pool.min, min(pool.max, nodes))


def _disk_lines(pool: Pool, nodes: Span, beside: ServicePrices, region: str) -> Iterator[Line]:
    """Yield the disks of a pool's nodes, and what of their throughput costs more."""
    kinds = disks(pool).values()
    gib = sum(disk.gib for disk in kinds)
    faster = sum(disk.throughput - GP3_THROUGHPUT for disk in kinds)
    yield Line(
        group="disks",
        name=f"{pool.name}, {gib} GiB a node",
        quantity=nodes.times(gib),
        unit="GiB",
        price=beside.price("gp3_gib_month", region),
    )
    yield Line(
        group="disks",
        name=f"{pool.name}, throughput",
        quantity=nodes.times(faster),
        unit="MiB/s",
        price=beside.price("gp3_mib_second_month", region),
    )


def _monthly(hourly: float | None) -> float | None:
    return None if hourly is None else hourly * HOURS
