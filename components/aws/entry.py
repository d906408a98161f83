"""The way to what the program creates on AWS, taken only where the cluster is one that the program creates.

The modules behind it are imported by the function that needs them: the types of the AWS services take seconds to
load, and a rehearsal, or a cluster that exists, needs none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from components.addons.pattern import Addon
from components.addons.surroundings import Surroundings
from settings.cluster import EksCluster
from settings.edge import CloudFrontEdge
from settings.registry import EcrRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi_kubernetes import Provider

    from components.aws.cluster_base import ClusterBase
    from components.registry_access import RegistryAccess
    from settings import Settings
    from settings.models import Model
    from settings.pools import Pool


@dataclass(frozen=True, kw_only=True)
class ClusterServices:
    """What add-ons and models need of AWS. Empty on a cluster that the program does not create.

    around: what add-ons wait for. addons: those that need AWS themselves, by unit.
    """

    pools: dict[str, pulumi.Resource] = field(default_factory=dict[str, pulumi.Resource])
    access: dict[str, pulumi.Resource] = field(default_factory=dict[str, pulumi.Resource])
    volume_handle: pulumi.Output[str] | None = None
    around: Surroundings = field(default_factory=Surroundings)
    addons: dict[str, Addon] = field(default_factory=dict[str, Addon])

    def before(self, model: Model, pool: Pool) -> list[pulumi.Resource]:
        """Return what must be there before a model: nodes to come, and its rights, which reach new pods only."""
        found = [self.pools.get(pool.name), self.access.get(model.name)]
        return [resource for resource in found if resource is not None]


def create_cluster_base(settings: Settings, *, stack: str) -> ClusterBase | None:
    """Create everything before the first Kubernetes object: network, control plane, first nodes."""
    if not isinstance(settings.cluster, EksCluster):
        return None
    from components.aws.cluster_base import cluster_base  # noqa: PLC0415 - see above

    return cluster_base(settings, settings.cluster, stack=stack)


def create_cluster_services(
    settings: Settings, base: ClusterBase | None, kubernetes: Provider
) -> ClusterServices:
    """Create what also needs the cluster's API: elastic nodes, storage of the models, and rights of what runs there."""
    if base is None:
        return ClusterServices()
    from components.aws.addon_services import addon_services  # noqa: PLC0415 - see above
    from components.aws.cluster_services import (  # noqa: PLC0415
        aws_addons,
        elastic_pools,
        model_access,
        nodes_of_the_platform,
        shared_storage,
    )

    on_both = pulumi.ResourceOptions(providers=[base.provider, kubernetes])
    addons = aws_addons(settings, base, on_both)
    elastic = elastic_pools(settings, base, addons, on_both)
    nodes = nodes_of_the_platform(settings, base, elastic)
    return ClusterServices(
        pools={**base.pools, **elastic},
        access=model_access(settings, base, on_both),
        volume_handle=shared_storage(settings, base, on_both),
        around=addon_services(settings, base, nodes, on_both),
        addons=addons,
    )


def registry_access(settings: Settings, base: ClusterBase | None) -> RegistryAccess | None:
    """Return the way to the stack's registry where it is the cluster's own account; elsewhere AWS is not asked."""
    if base is None or base.repositories is None or not isinstance(settings.registry, EcrRegistry):
        return None
    from components.aws.ecr_access import ecr_access  # noqa: PLC0415 - see above

    return ecr_access(settings.registry, settings.login, base.provider, base.repositories)


def create_edge(
    settings: Settings,
    base: ClusterBase | None,
    kubernetes: Provider,
    *,
    namespace: pulumi.Input[str],
    addons: Mapping[str, Addon],
) -> pulumi.Output[str] | None:
    """Create the way in from the internet, where the settings ask for it. Return its URL."""
    if base is None or not isinstance(settings.edge, CloudFrontEdge):
        return None
    from components.aws.edge import Edge, EdgeArgs  # noqa: PLC0415 - as above

    args = EdgeArgs(
        cluster=base.cluster,
        edge=settings.edge,
        namespace=namespace,
        deletion_protection=settings.deletion_protection,
        vpc_id=base.network.vpc_id,
        subnets=base.network.node_subnets,
        nodes=base.control_plane.security_group,
        after=[addons[unit] for unit in ("load-balancer-controller",) if unit in addons],
    )
    return Edge("edge", args, pulumi.ResourceOptions(providers=[base.provider, kubernetes])).url
