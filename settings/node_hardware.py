"""What an instance type brings for a node's disks and network, and the disks that a node gets for it.

One place, because two things make nodes: launch templates of managed node groups, and Karpenter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from settings.pools import GpuPool, Pool


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """`instance_store`: it has local NVMe. `efa`: network interfaces with EFA, one a network card."""

    instance_store: bool = False
    efa: int = 0


# Karpenter's reference of instance types, v1.14 (instance-local-nvme, vpc.amazonaws.com/efa).
_PLAIN: Final = Hardware()
_NVME: Final = Hardware(instance_store=True)
HARDWARE: Final[Mapping[str, Hardware]] = {
    "c6i.2xlarge": _PLAIN,
    "c6i.4xlarge": _PLAIN,
    "m6i.xlarge": _PLAIN,
    "p3.2xlarge": _PLAIN,
    "g4dn.xlarge": _NVME,
    "g5.xlarge": _NVME,
    "g5.2xlarge": _NVME,
    "g5.12xlarge": Hardware(instance_store=True, efa=1),
    "g5.48xlarge": Hardware(instance_store=True, efa=1),
    "g6.2xlarge": _NVME,
    "g6e.2xlarge": _NVME,
    "p4d.24xlarge": Hardware(instance_store=True, efa=4),
    "p4de.24xlarge": Hardware(instance_store=True, efa=4),
    "p5.48xlarge": Hardware(instance_store=True, efa=32),
}


GP3_THROUGHPUT: Final = 125
"""MiB a second that a gp3 volume has without a surcharge."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A gp3 volume: GiB, MiB a second, operations a second. It is encrypted with the account's EBS key.

    AWS's own key and not one of ours: whoever starts an instance needs a grant on a key of ours, and for node
    groups that is the account's service-linked role of Auto Scaling, which may not exist before the first group.
    What lies on it are images, logs and scratch files, never weights or data of users.
    """

    gib: int
    throughput: int = GP3_THROUGHPUT
    iops: int = 3000


ROOT_DISK: Final = Disk(gib=100)
"""EKS's default of 20 GiB does not hold the image of an engine, about 10 GB packed and 25 GB unpacked."""
GPU_ROOT_DISK: Final = Disk(gib=200, throughput=250)
"""Without an instance store: two versions of an image with weights in it. p3.2xlarge reads no faster (1.75 Gbit/s)."""
BOTTLEROCKET_ROOT: Final = Disk(gib=4)
"""Its system lies on a disk of its own, of this size in the image."""
AL2023_DEVICE: Final = "/dev/xvda"
BOTTLEROCKET_DEVICES: Final = ("/dev/xvda", "/dev/xvdb")


def hardware(pool: Pool) -> Hardware:
    """Return what the pool's instance type brings. Raises KeyError for a type without facts."""
    return HARDWARE[pool.instance_type]


def disks(pool: Pool) -> dict[str, Disk]:
    """Return the EBS volumes of a node by device name. Where there is an instance store, images and pods lie on that."""
    big = isinstance(pool, GpuPool) and not hardware(pool).instance_store
    data = GPU_ROOT_DISK if big else ROOT_DISK
    if pool.node_image == "bottlerocket":
        system, images = BOTTLEROCKET_DEVICES
        return {system: BOTTLEROCKET_ROOT, images: data}
    return {AL2023_DEVICE: data}


def fast_pull(pool: Pool) -> bool:
    """Tell whether images are fetched and unpacked in parallel.

    Below 600 MiB/s of disk that takes longer than the usual way, so only where they lie on local NVMe.
    """
    return isinstance(pool, GpuPool) and hardware(pool).instance_store


def efa_interfaces(pool: Pool) -> int:
    """Return the number of EFA interfaces: only where the pool's nodes stand together for traffic between them.

    Elsewhere they would cost an address each and, with one node a model, carry nothing.
    """
    return hardware(pool).efa if in_cluster_group(pool) else 0


def in_cluster_group(pool: Pool) -> bool:
    """Tell whether all nodes stand in one cluster placement group."""
    return isinstance(pool, GpuPool) and pool.placement is not None and pool.placement.kind == "cluster-group"


def dealt_out(count: int, zones: tuple[str, ...]) -> dict[str, int]:
    """Deal nodes out over zones, evenly, the first ones getting what is left over. A zone may get none."""
    each, left = divmod(count, len(zones))
    return {zone: each + (index < left) for index, zone in enumerate(zones)}
