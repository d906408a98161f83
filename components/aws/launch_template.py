"""The launch template of a managed node group: disks, network, metadata and where the capacity comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi_aws.ec2 import LaunchTemplate, PlacementGroup

from components.aws.node_user_data import group_user_data
from settings.cluster import EksCluster
from settings.node_hardware import (
    Disk,
    disks,
    efa_interfaces,
    in_cluster_group,
)
from settings.pools import CapacityBlock, Pool, ReservedCapacity

if TYPE_CHECKING:
    from pulumi_aws.ec2 import (
        LaunchTemplateBlockDeviceMappingArgsDict,
        LaunchTemplateNetworkInterfaceArgsDict,
        LaunchTemplateTagSpecificationArgsDict,
    )

HOP_LIMIT: Final = 1
"""The node itself and no pod: pods get their rights by Pod Identity and never ask the node for its own."""
TAGGED: Final = ("instance", "volume", "network-interface")
ON: Final = "true"  # text: the provider knows a third value, left to AWS


@dataclass(frozen=True, kw_only=True)
class PoolTemplateArgs:
    """`security_group` of the nodes. `tags`: of what is launched, which no provider sees."""

    pool: Pool
    cluster: EksCluster
    security_group: pulumi.Input[str]
    tags: Mapping[str, str]


class PoolTemplate(pulumi.ComponentResource):
    """Makes it. `version` is its latest one: a change of it is an update of the node group, node by node."""

    id: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(self, name: str, args: PoolTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:nodes:PoolTemplate", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        pool = args.pool
        unique = f"{args.cluster.name}-{pool.name}"
        group: pulumi.Output[str] | None = None
        if in_cluster_group(pool):
            placement = PlacementGroup(
                f"{name}-placement",
                name=unique,
                strategy="cluster",
                opts=child,
            )
            group = placement.name
        interfaces = network_interfaces(pool, args.security_group)
        template = LaunchTemplate(
            f"{name}-template",
            name=unique,
            description=f"Nodes of the pool {pool.name}",
            update_default_version=True,
            block_device_mappings=block_devices(pool),
            # In the interfaces, where there are any: EC2 takes one of both.
            vpc_security_group_ids=None if interfaces else [args.security_group],
            network_interfaces=interfaces or None,
            placement={"group_name": group} if group is not None else None,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": HOP_LIMIT,
            },
            monitoring={"enabled": True},
            # A Capacity Block is bought for a type, and EKS wants it named here then, not in the group.
            instance_type=pool.instance_type if isinstance(pool.capacity, CapacityBlock) else None,
            instance_market_options={"market_type": "capacity-block"}
            if isinstance(pool.capacity, CapacityBlock)
            else None,
            capacity_reservation_specification={
                "capacity_reservation_target": {"capacity_reservation_id": pool.capacity.reservation}
            }
            if isinstance(pool.capacity, CapacityBlock | ReservedCapacity)
            else None,
            tag_specifications=tag_specifications(unique, args.tags),
            user_data=group_user_data(pool),
            opts=child,
        )
        self.id = template.id
        self.version = template.latest_version.apply(str)
        self.register_outputs({"id": self.id, "version": self.version})


def block_devices(pool: Pool) -> "list[LaunchTemplateBlockDeviceMappingArgsDict]":
    """Return the node's EBS volumes."""
    return [_block_device(device, disk) for device, disk in disks(pool).items()]


def _block_device(device: str, disk: Disk) -> "LaunchTemplateBlockDeviceMappingArgsDict":
    return {
        "device_name": device,
        "ebs": {
            "volume_type": "gp3",
            "volume_size": disk.gib,
            "throughput": disk.throughput,
            "iops": disk.iops,
            "encrypted": ON,
            "delete_on_termination": ON,
        },
    }


def network_interfaces(
    pool: Pool, security_group: pulumi.Input[str]
) -> "Sequence[LaunchTemplateNetworkInterfaceArgsDict]":
    """Return an EFA interface per network card, or none: then EC2 makes the usual one.

    Only the first one has an address. The group of the cluster lets its members talk among themselves in both
    directions, as EFA needs (EKS guide, default cluster security group).
    """
    return [
        {
            "network_card_index": card,
            "device_index": 0 if card == 0 else 1,
            "interface_type": "efa" if card == 0 else "efa-only",
            "security_groups": [security_group],
            "delete_on_termination": ON,
        }
        for card in range(efa_interfaces(pool))
    ]


def tag_specifications(name: str, tags: Mapping[str, str]) -> "list[LaunchTemplateTagSpecificationArgsDict]":
    """Return the tags of what EC2 makes for a node. The name is what its console shows."""
    return [{"resource_type": kind, "tags": {"Name": name, **tags}} for kind in TAGGED]
