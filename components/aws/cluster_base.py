"""The AWS part up to nodes that work: everything before the first Kubernetes object.

A function that wires components, not a component: what it makes is the stack's own, and the Kubernetes
provider stands between it and what runs on the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import Provider

from components.aws.audit_trail import AuditTrail, AuditTrailArgs
from components.aws.control_plane import ControlPlane, ControlPlaneArgs
from components.aws.eks_addons import NetworkAddons, NetworkAddonsArgs, WorkloadAddons, WorkloadAddonsArgs
from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.aws.known_after import known_after
from components.aws.managed_pool import ManagedPool, ManagedPoolArgs
from components.aws.network import ClusterNetwork, ClusterNetworkArgs
from components.aws.node_role import NodeRole, NodeRoleArgs
from components.aws.provider import aws_provider, stack_tags
from components.kubernetes_provider import EksApi
from settings import Settings
from settings.audit import S3Audit
from settings.cluster import EksCluster
from settings.pools import CpuPool, ManagedProvisioner
from settings.storage import EfsShare
from settings.versions import versions_of


@dataclass(frozen=True, kw_only=True)
class ClusterBase:
    """What the rest of the program reads. `pools`: the managed ones by name. `addons`: name service and drivers.

    repositories: of the stack's images, where the registry is its own. ready: the cluster's name, known once add-ons run.
    """

    provider: Provider
    cluster: EksCluster
    tags: Mapping[str, str]
    network: ClusterNetwork
    control_plane: ControlPlane
    node_network: NetworkAddons
    data_key: EncryptionKey
    pools: Mapping[str, ManagedPool]
    addons: WorkloadAddons
    repositories: ImageRepositories | None
    ready: pulumi.Output[str]

    @property
    def api(self) -> EksApi:
        """How the cluster's API is reached."""
        return EksApi(
            endpoint=self.control_plane.endpoint,
            certificate_authority=self.control_plane.certificate_authority,
            # An access entry acts some seconds after it was made, and the first request would be refused. The add-ons are
            # made meanwhile and take longer; nothing that a request could ask for waits for less.
            access=known_after(self.control_plane.access, self.node_network.cluster_name),
        )

    def node_subnets(self, zones: tuple[str, ...]) -> dict[str, pulumi.Output[str]]:
        """Return the nodes' subnets in some zones, by zone."""
        return {zone: self.network.node_subnets[zone] for zone in zones}


def cluster_base(settings: Settings, cluster: EksCluster, *, stack: str) -> ClusterBase:
    """Create it."""
    provider = aws_provider(cluster, stack=stack)
    on_aws = pulumi.ResourceOptions(providers=[provider])
    tags = stack_tags(cluster, stack=stack)

    cluster_key = EncryptionKey("cluster-key", _cluster_key(cluster), on_aws)
    data_key = EncryptionKey("data-key", _data_key(cluster), on_aws)
    network = ClusterNetwork(
        "network", ClusterNetworkArgs(cluster=cluster, flow_log_key=cluster_key.arn), on_aws
    )
    control_plane = ControlPlane(
        "cluster",
        ControlPlaneArgs(
            cluster=cluster,
            deletion_protection=settings.deletion_protection,
            subnets=list(network.control_plane_subnets.values()),
            key_arn=cluster_key.arn,
        ),
        on_aws,
    )
    if isinstance(settings.audit, S3Audit):
        trail = AuditTrailArgs(
            cluster=cluster,
            audit=settings.audit,
            logs=control_plane.logs,
            log_key=cluster_key.arn,
            account_root=account_root(cluster),
            protect=settings.deletion_protection,
        )
        AuditTrail("audit", trail, on_aws)
    # Before the first node: without a network plugin no node becomes ready, and the plugin enforces network
    # policies only on nodes that came up after it was told to.
    node_network = NetworkAddons(
        "node-network", NetworkAddonsArgs(cluster=cluster, cluster_name=control_plane.cluster_name), on_aws
    )
    role = NodeRole(
        "node-role", NodeRoleArgs(role_name=f"{cluster.name}-node", partition=cluster.partition), on_aws
    )
    pools: dict[str, ManagedPool] = {}
    for pool in settings.pools:
        if isinstance(pool.provisioner, ManagedProvisioner):
            subnets = {zone: network.node_subnets[zone] for zone in settings.zones_of(pool)}
            args = ManagedPoolArgs(
                pool=pool,
                cluster=cluster,
                cluster_name=node_network.cluster_name,
                node_role_arn=role.arn,
                subnets=subnets,
                security_group=control_plane.security_group,
                tags=tags,
            )
            pools[pool.name] = ManagedPool(f"pool-{pool.name}", args, on_aws)
    # After the CPU nodes, which they run on, and not after the GPU nodes: where those can not be bought, DNS works.
    system = [
        pools[pool.name].ready for pool in settings.pools if isinstance(pool, CpuPool) and pool.name in pools
    ]
    addons = WorkloadAddons(
        "addons",
        WorkloadAddonsArgs(
            cluster=cluster,
            cluster_name=control_plane.cluster_name,
            nodes=system,
            efs=isinstance(settings.storage.shared, EfsShare),
            tags=tags,
        ),
        on_aws,
    )
    return ClusterBase(
        provider=provider,
        cluster=cluster,
        tags=tags,
        network=network,
        control_plane=control_plane,
        node_network=node_network,
        data_key=data_key,
        pools=pools,
        addons=addons,
        repositories=_repositories(settings, data_key, on_aws),
        ready=addons.ready,
    )


def data_key_alias(cluster: EksCluster) -> str:
    """Return the name of the key of weights and images, without `alias/`."""
    return f"{cluster.name}-data"


def _cluster_key(cluster: EksCluster) -> EncryptionKeyArgs:
    return EncryptionKeyArgs(
        alias=f"{cluster.name}-cluster",
        description=f"Secrets of the cluster {cluster.name}, logs of its control plane and of its network",
        account_root=account_root(cluster),
        services=[f"logs.{cluster.region}.{cluster.dns_suffix}"],
    )


def _data_key(cluster: EksCluster) -> EncryptionKeyArgs:
    return EncryptionKeyArgs(
        alias=data_key_alias(cluster),
        description=f"Weights and images of the cluster {cluster.name}",
        account_root=account_root(cluster),
    )


def account_root(cluster: EksCluster) -> str:
    """Return the ARN of the account's root."""
    return f"arn:{cluster.partition}:iam::{cluster.account}:root"


def _repositories(
    settings: Settings, key: EncryptionKey, on_aws: pulumi.ResourceOptions
) -> ImageRepositories | None:
    """Make the repositories of the stack's own registry. One of another account or region is somebody else's."""
    if not settings.owns_registry:
        return None
    images = [version.image for model in settings.models for version in versions_of(model)]
    if settings.storage.fetch:
        images.append(settings.storage.fetch.image)
    names = sorted({image.repository for image in images})
    return ImageRepositories("images", ImageRepositoriesArgs(repositories=names, key_arn=key.arn), on_aws)
