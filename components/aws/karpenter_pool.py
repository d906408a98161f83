"""A pool whose nodes Karpenter makes: they come with the pods that need them, between the pool's min and max.

Owns: the EC2NodeClass, the NodePools and, where nodes stand together, their placement group. Does not own: the
controller, the nodes' role, subnets and security group. No number of nodes that changes by itself is written
here, so no `pulumi up` sets one back.

The minimum: a NodePool that follows the pods keeps no node without one. So `min` nodes come from static
NodePools (`spec.replicas`), one for each zone because a static one does not spread by itself. Static capacity is
an alpha feature of Karpenter 1.14. The NodePool that follows the pods makes at most the `max - min` others;
Karpenter counts them with some delay, so that a sudden rush can go beyond for a while (its guide, spec.limits).

A node with a core model is never ended while Karpenter has a choice: its pods carry `karpenter.sh/do-not-disrupt`,
and without a `terminationGracePeriod` that has no time limit. The price: a new image reaches such a node only
when its pods have gone, and a NodePool is deleted only then. `kubectl drain` moves them, one at a time as their
disruption budget allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.ec2 import PlacementGroup
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.aws.known_after import known_after
from components.aws.node_class import node_class_spec
from settings.cluster import EksCluster
from settings.node_hardware import dealt_out, in_cluster_group
from settings.pools import CapacityKind, Pool

CLASS_GROUP: Final = "karpenter.k8s.aws"
CLASS_KIND: Final = "EC2NodeClass"
POOL_API: Final = "karpenter.sh/v1"
POOL_KIND: Final = "NodePool"
# Custom resources are not waited for by themselves. Ready means: image, subnets and role were found.
WAIT_FOR: Final = {"pulumi.com/waitFor": "condition=Ready"}
WAIT: Final = "5m"
# In Karpenter's order of preference; it counts what is reserved as paid for.
CAPACITY_TYPES: Final[Mapping[CapacityKind, list[str]]] = {
    "on-demand": ["on-demand"],
    "spot": ["spot"],
    "reserved": ["reserved", "on-demand"],
    "capacity-block": ["reserved"],
}
EXPIRE_AFTER: Final = "720h"
"""Nodes without core models are new every 30 days, Karpenter's default: so they get patches without anybody's help."""
GRACE: Final = "1h"
"""Longer than a pod here takes to end. Without a limit one pod that may not be evicted keeps an old node for ever."""
BUDGETS: Final = [
    {"nodes": "1", "reasons": ["Drifted", "Underutilized"]},
    {"nodes": "100%", "reasons": ["Empty"]},
]
"""One node with pods at a time: a second one could hold the only other replica. Empty ones cost money and nothing else."""
CONSOLIDATE_AFTER: Final = "10m"
"""A GPU node takes up to 10 minutes from order to first answer; one that is empty for a moment is not worth that."""


@dataclass(frozen=True, kw_only=True)
class KarpenterPoolArgs:
    """`subnets` of the nodes by zone, in the pool's zones. `core`: it serves core models. `tags`: of what EC2 makes.

    ready: known once the controller runs.
    """

    pool: Pool
    cluster: EksCluster
    subnets: Mapping[str, pulumi.Input[str]]
    security_group: pulumi.Input[str]
    node_role_name: pulumi.Input[str]
    tags: Mapping[str, str]
    core: bool
    ready: pulumi.Input[str]


class KarpenterPool(pulumi.ComponentResource):
    """Makes it. `ready`, the pool's name, is known when Karpenter has found all that the nodes need."""

    ready: pulumi.Output[str]

    def __init__(
        self, name: str, args: KarpenterPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:nodes:KarpenterPool", name, {}, opts)
        self._args = args
        self._wait = pulumi.CustomTimeouts(create=WAIT, update=WAIT)
        node_class = self._node_class(name)
        made = [
            CustomResource(
                f"{name}-{plan.label}",
                api_version=POOL_API,
                kind=POOL_KIND,
                metadata=ObjectMetaArgs(name=plan.name, annotations=WAIT_FOR),
                spec=plan.spec,
                # The class, which it names: a class that is deleted first waits for the pool's nodes, for ever.
                opts=pulumi.ResourceOptions(parent=self, custom_timeouts=self._wait, depends_on=[node_class]),
            )
            for plan in node_pools(args.pool, tuple(args.subnets), core=args.core)
        ]
        self.ready = pulumi.Output.all(*(pool.id for pool in made)).apply(lambda _: args.pool.name)
        self.register_outputs({"ready": self.ready})

    def _node_class(self, name: str) -> CustomResource:
        args = self._args
        group: pulumi.Output[str] | None = None
        if in_cluster_group(args.pool):
            # Not the name that a managed pool's has: while one becomes the other, both are there.
            unique = f"{args.cluster.name}-{args.pool.name}-elastic"
            opts = pulumi.ResourceOptions(parent=self)
            group = PlacementGroup(f"{name}-placement", name=unique, strategy="cluster", opts=opts).name
        # The kinds are there with the controller. The role is told through it: names stay known in a preview.
        role = known_after(args.node_role_name, args.ready)
        return CustomResource(
            f"{name}-class",
            api_version=f"{CLASS_GROUP}/v1",
            kind=CLASS_KIND,
            metadata=ObjectMetaArgs(name=args.pool.name, annotations=WAIT_FOR),
            spec=node_class_spec(
                args.pool,
                args.cluster,
                subnets=list(args.subnets.values()),
                security_group=args.security_group,
                role_name=role,
                tags=args.tags,
                placement_group=group,
            ),
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=self._wait),
        )


@dataclass(frozen=True, kw_only=True)
class NodePoolPlan:
    """One NodePool: its object's name and spec. `label` tells it from the pool's others."""

    label: str
    name: str
    spec: Mapping[str, Any]


def node_pools(pool: Pool, zones: tuple[str, ...], *, core: bool) -> list[NodePoolPlan]:
    """Return the NodePools of a pool.

    Those of the minimum have a dot in their name, which no pool has. A static one may have one node more while
    one of its own is replaced.
    """
    plans = [
        NodePoolPlan(
            label=f"{zone}-base",
            name=f"{pool.name}.{zone}-base",
            spec={
                **_common(pool, (zone,), core=core),
                "replicas": count,
                "limits": {"nodes": str(count + 1)},
            },
        )
        for zone, count in dealt_out(pool.min, zones).items()
        if count > 0
    ]
    # A pool that may have no node at all has one, too: pods that ask for it are then told of its limit.
    if pool.max > pool.min or not plans:
        spec = {**_common(pool, zones, core=core), "limits": {"nodes": str(pool.max - pool.min)}}
        plans.append(NodePoolPlan(label="pool", name=pool.name, spec=spec))
    return plans


def _common(pool: Pool, zones: tuple[str, ...], *, core: bool) -> dict[str, Any]:
    return {
        "template": {"metadata": {"labels": pool.node_labels}, "spec": _node(pool, zones, core=core)},
        "disruption": {
            "consolidationPolicy": "WhenEmpty" if core else "WhenEmptyOrUnderutilized",
            "consolidateAfter": CONSOLIDATE_AFTER,
            "budgets": BUDGETS,
        },
    }


def _node(pool: Pool, zones: tuple[str, ...], *, core: bool) -> dict[str, Any]:
    """Return what every node of a NodePool is."""
    required = {
        "kubernetes.io/arch": ["amd64"],
        "kubernetes.io/os": ["linux"],
        "node.kubernetes.io/instance-type": [pool.instance_type],
        "topology.kubernetes.io/zone": list(zones),
        "karpenter.sh/capacity-type": CAPACITY_TYPES[pool.capacity.kind],
    }
    node: dict[str, Any] = {
        "nodeClassRef": {"group": CLASS_GROUP, "kind": CLASS_KIND, "name": pool.name},
        "requirements": [
            {"key": key, "operator": "In", "values": values} for key, values in required.items()
        ],
        "expireAfter": "Never" if core else EXPIRE_AFTER,
    }
    if pool.node_taints:
        node["taints"] = pool.node_taints
    if not core:
        node["terminationGracePeriod"] = GRACE
    return node
