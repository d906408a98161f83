"""Arguments of node pools: their role, managed groups, Karpenter and its pools."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.karpenter import (
    Karpenter,
    KarpenterArgs,
    KarpenterDefinitions,
    KarpenterDefinitionsArgs,
)
from components.aws.karpenter_interruption import Interruptions, InterruptionsArgs
from components.aws.karpenter_pool import KarpenterPool, KarpenterPoolArgs
from components.aws.launch_template import PoolTemplate, PoolTemplateArgs
from components.aws.managed_pool import ManagedPool, ManagedPoolArgs
from components.aws.node_role import NodeRole, NodeRoleArgs, elastic_role_name
from settings import Settings
from settings.cluster import EksCluster
from settings.pools import Pool

TAGS: Final = {"stack": "prod", "owner": "llm-platform", "cost-center": "4711"}
SECURITY_GROUP: Final = "sg-0123456789abcdef0"
ROLE_ARN: Final = "arn:aws:iam::123456789012:role/llm-prod-node"


def cluster_of(settings: Settings) -> EksCluster:
    """The cluster of a stack on EKS."""
    return cast("EksCluster", settings.cluster)


def subnets(zones: tuple[str, ...]) -> dict[str, str]:
    """Ids that look like subnets', by zone."""
    return {zone: f"subnet-{index:017x}" for index, zone in enumerate(zones)}


def managed_args(settings: Settings, pool: Pool) -> ManagedPoolArgs:
    """A pool as node groups."""
    return ManagedPoolArgs(
        pool=pool,
        cluster=cluster_of(settings),
        cluster_name=cluster_of(settings).name,
        node_role_arn=ROLE_ARN,
        subnets=subnets(settings.zones_of(pool)),
        security_group=SECURITY_GROUP,
        tags=TAGS,
    )


def karpenter_args(settings: Settings, pool: Pool, *, core: bool = False) -> KarpenterPoolArgs:
    """A pool of Karpenter's."""
    return KarpenterPoolArgs(
        pool=pool,
        cluster=cluster_of(settings),
        subnets=subnets(settings.zones_of(pool)),
        security_group=SECURITY_GROUP,
        node_role_name=elastic_role_name(cluster_of(settings)),
        tags=TAGS,
        core=core,
        ready="karpenter",
    )


def _managed_pool(settings: Settings) -> Pool:
    return next(pool for pool in settings.pools if pool.provisioner.kind == "managed")


FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    NodeRole: lambda s: NodeRoleArgs(
        role_name=f"{cluster_of(s).name}-node", partition=cluster_of(s).partition
    ),
    PoolTemplate: lambda s: PoolTemplateArgs(
        pool=_managed_pool(s), cluster=cluster_of(s), security_group=SECURITY_GROUP, tags=TAGS
    ),
    ManagedPool: lambda s: managed_args(s, _managed_pool(s)),
    Interruptions: lambda s: InterruptionsArgs(cluster=cluster_of(s)),
    KarpenterDefinitions: lambda s: KarpenterDefinitionsArgs(charts=s.charts, namespace="kube-system"),
    Karpenter: lambda s: KarpenterArgs(
        charts=s.charts,
        namespace="kube-system",
        cluster=cluster_of(s),
        cluster_name=cluster_of(s).name,
        node_role_arn=ROLE_ARN,
        ready=cluster_of(s).name,
    ),
    KarpenterPool: lambda s: karpenter_args(s, s.gpu_pools[0], core=True),
}
