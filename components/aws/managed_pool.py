"""A pool as EKS managed node groups: a fixed number of nodes, which the settings own and nobody else.

Owns: the launch template and the node groups. Does not own: the nodes' role, subnets and security group.

A change that EKS can not make to a node group (another instance type, another image) replaces it. Groups have
a name that begins with the pool's and ends with one that is drawn once, so the new group comes up before the
old one is drained and goes. For that time there are twice the nodes: where capacity is reserved or short, move
the models to another pool first.

A Capacity Block has nodes from its first day to its last: before and after, the pool has to be of size 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.eks import NodeGroup, NodeGroupScalingConfigArgs

from components.aws.known_after import known_after
from components.aws.launch_template import PoolTemplate, PoolTemplateArgs
from settings.cluster import EksCluster
from settings.node_hardware import dealt_out
from settings.pools import CapacityBlock, CapacityKind, GpuPool, Pool

NAME_MAX: Final = 63
SUFFIX: Final = 26
"""Characters that the provider appends to a name's prefix: a time and a counter."""
CAPACITY_TYPES: Final[Mapping[CapacityKind, str]] = {
    "on-demand": "ON_DEMAND",
    "spot": "SPOT",
    # An instance in an On-Demand Capacity Reservation is an on-demand one; the launch template names the reservation.
    "reserved": "ON_DEMAND",
    "capacity-block": "CAPACITY_BLOCK",
}
TAINT_EFFECTS: Final = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}


@dataclass(frozen=True, kw_only=True)
class ManagedPoolArgs:
    """`cluster_name`, known once nodes can join. `subnets` of the nodes by zone, in the pool's zones.

    tags: of what EC2 makes for the nodes.
    """

    pool: Pool
    cluster: EksCluster
    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    security_group: pulumi.Input[str]
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """One node group: its zones and its size. `label` tells it from the pool's others; empty where there are none."""

    label: str
    zones: tuple[str, ...]
    size: int


class ManagedPool(pulumi.ComponentResource):
    """Makes it. `ready`, the cluster's name, is known once all nodes are there."""

    ready: pulumi.Output[str]

    def __init__(self, name: str, args: ManagedPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:nodes:ManagedPool", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        template = PoolTemplate(
            f"{name}-launch",
            PoolTemplateArgs(
                pool=args.pool, cluster=args.cluster, security_group=args.security_group, tags=args.tags
            ),
            opts=self._child,
        )
        plans = group_plans(args.pool, tuple(args.subnets))
        groups = [self._group(f"{name}-{plan.label or 'nodes'}", plan, template) for plan in plans]
        self.ready = known_after(args.cluster_name, *(group.id for group in groups))
        self.register_outputs({"ready": self.ready})

    def _group(self, name: str, plan: GroupPlan, template: PoolTemplate) -> NodeGroup:
        pool, cluster = self._args.pool, self._args.cluster
        return NodeGroup(
            name,
            cluster_name=self._args.cluster_name,
            node_group_name_prefix=name_prefix(pool, plan),
            node_role_arn=self._args.node_role_arn,
            subnet_ids=[self._args.subnets[zone] for zone in plan.zones],
            scaling_config=scaling(plan.size),
            # The template of a Capacity Block names the type, and EKS takes one of both.
            instance_types=None if isinstance(pool.capacity, CapacityBlock) else [pool.instance_type],
            launch_template={"id": template.id, "version": template.version},
            capacity_type=CAPACITY_TYPES[pool.capacity.kind],
            ami_type=ami_type(pool),
            version=cluster.version,
            release_version=release_version(pool, cluster),
            labels=pool.node_labels,
            taints=[
                {"key": taint["key"], "value": taint["value"], "effect": TAINT_EFFECTS[taint["effect"]]}
                for taint in pool.node_taints
            ],
            # One at a time: a second one at once could hold the only other replica of a model.
            update_config={"max_unavailable": 1},
            # With the node monitoring agent: a GPU that is broken for 10 minutes, a node that is for 30.
            node_repair_config={"enabled": True},
            opts=self._child,
        )


def group_plans(pool: Pool, zones: tuple[str, ...]) -> list[GroupPlan]:
    """Return the node groups of a pool.

    One group balances its zones as well as it can, and lets them be uneven where a zone has no capacity. A pool
    that is to be spread has one for each zone, and so a number of nodes in each. A zone that would get none has
    no group.
    """
    spread = isinstance(pool, GpuPool) and pool.placement is not None and pool.placement.kind == "spread"
    if spread and pool.min > 0:
        shares = dealt_out(pool.min, zones)
        return [GroupPlan(label=zone, zones=(zone,), size=size) for zone, size in shares.items() if size > 0]
    return [GroupPlan(label="", zones=zones, size=pool.min)]


def scaling(size: int) -> NodeGroupScalingConfigArgs:
    """Return the sizes of a group. The largest is 1 at least, in EKS's API; what counts is the desired one."""
    return NodeGroupScalingConfigArgs(min_size=size, desired_size=size, max_size=max(1, size))


def name_prefix(pool: Pool, plan: GroupPlan) -> str:
    """Return what the name of a group begins with: nothing that changes as long as the group may stay."""
    whole = f"{pool.name}-{plan.label}-" if plan.label else f"{pool.name}-"
    return whole[: NAME_MAX - SUFFIX]


def ami_type(pool: Pool) -> str:
    """Return the kind of image, as EKS calls it. Those of GPU pools bring NVIDIA's driver."""
    if pool.node_image == "bottlerocket":
        return "BOTTLEROCKET_x86_64_NVIDIA" if isinstance(pool, GpuPool) else "BOTTLEROCKET_x86_64"
    return "AL2023_x86_64_NVIDIA" if isinstance(pool, GpuPool) else "AL2023_x86_64_STANDARD"


def release_version(pool: Pool, cluster: EksCluster) -> str | None:
    """Return the pinned release of the image.

    None for Bottlerocket: EKS counts its releases with a part of the commit at the end (`1.47.0-6154605b`), which
    the settings do not know. A new group then takes the newest release of the day, and keeps it.
    """
    if pool.node_image == "bottlerocket":
        return None
    return cluster.al2023_release
