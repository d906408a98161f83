"""Node pools. Labels, taints, tolerations and selectors of a pool are spelt here and nowhere else."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.facts import GpuFacts, InstanceFacts, instance
from settings.scalars import Count, PoolName, ReservationId, Zone

POOL_LABEL: Final = "vllm-platform.io/pool"
CAPACITY_LABEL: Final = "vllm-platform.io/capacity"
GPU_PRESENT_LABEL: Final = "nvidia.com/gpu.present"
GPU_TAINT_KEY: Final = "dedicated"
GPU_TAINT_VALUE: Final = "gpu"
GPU_RESOURCE: Final = "nvidia.com/gpu"

_LABEL_KEY: Final = re.compile(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)


def _label_key(value: str) -> str:
    if not _LABEL_KEY.fullmatch(value):
        raise refusal("not the key of a Kubernetes label", "write e.g. 'node.kubernetes.io/gpu-type'")
    return value


class ManagedProvisioner(Section):
    """An EKS managed node group: a fixed number of nodes, min = max."""

    kind: Literal["managed"]


class KarpenterProvisioner(Section):
    """Karpenter: nodes come and go with the pods, between min and max."""

    kind: Literal["karpenter"]


Provisioner = Annotated[ManagedProvisioner | KarpenterProvisioner, Field(discriminator="kind")]


class OnDemandCapacity(Section):
    """Capacity at the list price, while it lasts."""

    kind: Literal["on-demand"]


class SpotCapacity(Section):
    """Cheap capacity that AWS takes back with two minutes' notice."""

    kind: Literal["spot"]


class ReservedCapacity(Section):
    """An On-Demand Capacity Reservation."""

    kind: Literal["reserved"]
    reservation: ReservationId


class CapacityBlock(Section):
    """A Capacity Block for ML: reserved for a span of days, paid ahead."""

    kind: Literal["capacity-block"]
    reservation: ReservationId


Capacity = Annotated[
    OnDemandCapacity | SpotCapacity | ReservedCapacity | CapacityBlock, Field(discriminator="kind")
]
NodeImage = Literal["al2023", "bottlerocket"]
CapacityKind = Literal["on-demand", "spot", "reserved", "capacity-block"]


class SingleZonePlacement(Section):
    """All nodes in one zone: scarce instances are bought where they are."""

    kind: Literal["single-zone"]


class SpreadPlacement(Section):
    """Nodes in every zone of the pool."""

    kind: Literal["spread"]


class ClusterGroupPlacement(Section):
    """All nodes in one cluster placement group (one zone), for traffic between nodes over EFA."""

    kind: Literal["cluster-group"]


Placement = Annotated[
    SingleZonePlacement | SpreadPlacement | ClusterGroupPlacement, Field(discriminator="kind")
]


class NoPrepull(Section):
    """Nodes pull an image when a replica comes that needs it."""

    kind: Literal["off"]


class NodePrepull(Section):
    """Nodes that run pull the images of the pool's models before these are updated."""

    kind: Literal["on"]


Prepull = Annotated[NoPrepull | NodePrepull, Field(discriminator="kind")]


class _Pool(Section):
    """What CPU and GPU pools share. `min` and `max` count nodes; `zones` defaults to the cluster's."""

    name: PoolName
    instance_type: str
    min: Count
    max: Count
    zones: Annotated[tuple[Zone, ...], Field(min_length=1)] | None = None
    provisioner: Provisioner
    capacity: Capacity
    node_image: NodeImage = "al2023"

    @property
    def instance(self) -> InstanceFacts:
        """Facts of the instance type. Raises KeyError where there are none, which no loaded Settings has."""
        return instance(self.instance_type)


class CpuPool(_Pool):
    """Nodes for the platform itself: no taint."""

    kind: Literal["cpu"]

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels that every node of the pool carries."""
        return {POOL_LABEL: self.name, CAPACITY_LABEL: self.capacity.kind}

    @property
    def node_taints(self) -> list[dict[str, str]]:
        """Taints that every node of the pool carries: none."""
        return []

    @property
    def node_selector(self) -> dict[str, str]:
        """What a pod writes to land on this pool."""
        return {POOL_LABEL: self.name}


class GpuPool(_Pool):
    """Nodes with GPUs: tainted, so that only pods that ask for a GPU land on them."""

    kind: Literal["gpu"]
    placement: Placement | None = None
    prepull: Prepull = NoPrepull(kind="off")
    gpu_type_label: Annotated[str, AfterValidator(_label_key)] = "node.kubernetes.io/gpu-type"

    @property
    def gpu(self) -> GpuFacts:
        """Facts of one node's GPUs. Raises ValueError where it has none, which no loaded Settings has."""
        if self.instance.gpu is None:
            message = f"pool {self.name}: instance {self.instance_type} has no GPU"
            raise ValueError(message)
        return self.instance.gpu

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels that every node of the pool carries."""
        return {
            POOL_LABEL: self.name,
            CAPACITY_LABEL: self.capacity.kind,
            self.gpu_type_label: self.gpu.type_label,
            GPU_PRESENT_LABEL: "true",
        }

    @property
    def node_taints(self) -> list[dict[str, str]]:
        """Taints of every node, as Kubernetes spells them (EKS spells the effect NO_SCHEDULE)."""
        return [{"key": GPU_TAINT_KEY, "value": GPU_TAINT_VALUE, "effect": "NoSchedule"}]

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """What a pod, or an agent that runs on every node, writes to be let in."""
        return [{"key": GPU_TAINT_KEY, "operator": "Equal", "value": GPU_TAINT_VALUE, "effect": "NoSchedule"}]

    @property
    def node_selector(self) -> dict[str, str]:
        """What a pod writes to land on this pool and on no other."""
        return {POOL_LABEL: self.name, self.gpu_type_label: self.gpu.type_label}


Pool = Annotated[CpuPool | GpuPool, Field(discriminator="kind")]
