"""How many nodes a set of replicas needs: GPUs, CPU and memory of one replica must come from one node."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from settings.facts import InstanceFacts
from settings.models import Model
from settings.pools import Pool

# What the agents on every GPU node request: network plugin, kube-proxy, device plugin, DCGM exporter,
# ztunnel, istio-cni, node exporter, CSI drivers, log agent: about 750m and 1.6 GiB by their charts' defaults.
AGENTS_CPU_M: Final = 800
AGENTS_MEMORY_MIB: Final = 1792


@dataclass(frozen=True, kw_only=True, order=True)
class Demand:
    """What one replica takes from a node: GPUs, memory in MiB, thousandths of a core."""

    gpus: int
    memory_mib: int
    cpu_m: int


def demand_of(model: Model) -> Demand:
    """Return what one replica of a model takes."""
    requests = model.resources.requests
    return Demand(gpus=model.gpus, memory_mib=requests.memory_mib, cpu_m=requests.cpu_m)


def room_of(instance: InstanceFacts) -> Demand:
    """Return what one node has for replicas, its agents taken off."""
    return Demand(
        gpus=instance.gpu.count if instance.gpu else 0,
        memory_mib=instance.allocatable_memory_mib - AGENTS_MEMORY_MIB,
        cpu_m=instance.allocatable_cpu_m - AGENTS_CPU_M,
    )


def fits_on(demand: Demand, room: Demand) -> bool:
    """Tell whether a replica fits into the room of a node."""
    return demand.gpus <= room.gpus and demand.memory_mib <= room.memory_mib and demand.cpu_m <= room.cpu_m


def nodes_needed(demands: Iterable[tuple[Demand, int]], room: Demand) -> int:
    """Count nodes for (demand, replicas) pairs, the largest first, each replica on the first node with room.

    The scheduler may do worse; first-fit decreasing is the usual estimate.
    Raises ValueError for a replica that fits on no node.
    """
    free: list[Demand] = []
    for demand, count in sorted(demands, reverse=True):
        if not fits_on(demand, room):
            message = f"a replica that asks for {demand} fits on no node with {room}"
            raise ValueError(message)
        left = count
        for index, node in enumerate(free):
            taken = min(left, copies(demand, node))
            free[index] = _minus(node, demand, taken)
            left -= taken
        per_node = copies(demand, room)
        while left > 0:
            taken = min(left, per_node)
            free.append(_minus(room, demand, taken))
            left -= taken
    return len(free)


def copies_by_amount(demand: Demand, room: Demand) -> dict[str, int]:
    """Return how many replicas each amount of a node would allow; what a replica does not ask for allows any number."""
    amounts = {
        "GPUs": (demand.gpus, room.gpus),
        "memory": (demand.memory_mib, room.memory_mib),
        "CPU": (demand.cpu_m, room.cpu_m),
    }
    return {name: have // want for name, (want, have) in amounts.items() if want > 0}


def copies(demand: Demand, room: Demand) -> int:
    """Count the replicas that one node holds."""
    return min(copies_by_amount(demand, room).values())


def _minus(room: Demand, demand: Demand, count: int) -> Demand:
    return Demand(
        gpus=room.gpus - demand.gpus * count,
        memory_mib=room.memory_mib - demand.memory_mib * count,
        cpu_m=room.cpu_m - demand.cpu_m * count,
    )


def gpus_of(pool: Pool) -> int:
    """Return the GPUs of a pool with all its nodes."""
    gpu = pool.instance.gpu
    return 0 if gpu is None else gpu.count * pool.max
