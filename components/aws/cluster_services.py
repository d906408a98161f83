"""The AWS part that also needs the cluster's API: elastic nodes, storage of the models and their rights."""

from collections.abc import Mapping

import pulumi

from components.addons.pattern import Addon
from components.aws.cluster_base import ClusterBase, data_key_alias
from components.aws.karpenter import Karpenter, KarpenterArgs, KarpenterDefinitions, KarpenterDefinitionsArgs
from components.aws.karpenter_pool import KarpenterPool, KarpenterPoolArgs
from components.aws.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from components.aws.model_access import ModelAccess, ModelAccessArgs
from components.aws.node_role import NodeRole, NodeRoleArgs, elastic_role_name
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.shared_storage import SharedStorage, SharedStorageArgs
from components.node_agents import CLUSTER_NAMESPACE
from settings import Settings
from settings.pools import CpuPool, GpuPool, KarpenterProvisioner, Pool
from settings.storage import CreatedBucket, EfsShare, ExistingBucket


def aws_addons(settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions) -> dict[str, Addon]:
    """Install the add-ons that call AWS by themselves, and so come with roles of their own, by unit."""
    addons: dict[str, Addon] = {}
    if settings.asked.choice("karpenter") == "managed":
        # Not the role of managed pools: EKS lets those in by itself, and refuses a second entry for one role.
        role = NodeRole(
            "elastic-node-role",
            NodeRoleArgs(role_name=elastic_role_name(base.cluster), partition=base.cluster.partition),
            on_both,
        )
        args = KarpenterDefinitionsArgs(charts=settings.charts, namespace=CLUSTER_NAMESPACE)
        addons["karpenter-definitions"] = KarpenterDefinitions("karpenter-definitions", args, on_both)
        addons["karpenter"] = Karpenter(
            "karpenter",
            KarpenterArgs(
                charts=settings.charts,
                namespace=CLUSTER_NAMESPACE,
                # It ends when the kinds that it watches are not there.
                after=[addons["karpenter-definitions"]],
                cluster=base.cluster,
                cluster_name=base.control_plane.cluster_name,
                node_role_arn=role.arn,
                ready=base.ready,
            ),
            on_both,
        )
    if settings.asked.choice("load_balancer_controller") == "managed":
        controller = LoadBalancerControllerArgs(
            charts=settings.charts,
            namespace=CLUSTER_NAMESPACE,
            cluster=base.cluster,
            cluster_name=base.control_plane.cluster_name,
            vpc_id=base.network.vpc_id,
            target_group=base.cluster.name,
            ready=base.ready,
        )
        addons["load-balancer-controller"] = LoadBalancerController(
            "load-balancer-controller", controller, on_both
        )
    return addons


def elastic_pools(
    settings: Settings, base: ClusterBase, addons: Mapping[str, Addon], on_both: pulumi.ResourceOptions
) -> dict[str, pulumi.Resource]:
    """Create the pools whose nodes Karpenter makes, by name."""
    elastic = [pool for pool in settings.pools if isinstance(pool.provisioner, KarpenterProvisioner)]
    return {
        pool.name: KarpenterPool(
            f"pool-{pool.name}",
            KarpenterPoolArgs(
                pool=pool,
                cluster=base.cluster,
                subnets=base.node_subnets(settings.zones_of(pool)),
                security_group=base.control_plane.security_group,
                # Its role is there when Karpenter is ready.
                node_role_name=elastic_role_name(base.cluster),
                tags=base.tags,
                core=_serves_core(settings, pool),
                ready=addons["karpenter"].ready,
            ),
            on_both,
        )
        for pool in elastic
    }


def _serves_core(settings: Settings, pool: Pool) -> bool:
    """Tell whether a core model, switched on or off, runs on a pool."""
    return isinstance(pool, GpuPool) and any(
        model.tier == "core" and settings.pool_of(model) == pool for model in settings.enabled_models
    )


def nodes_of_the_platform(
    settings: Settings, base: ClusterBase, elastic: Mapping[str, pulumi.Resource]
) -> list[pulumi.Resource]:
    """Return what must be there before pods without a GPU can run: name service, drivers, and nodes for all of them."""
    cpu = [pool.name for pool in settings.pools if isinstance(pool, CpuPool)]
    return [base.addons, *(elastic[name] for name in cpu if name in elastic)]


def model_access(
    settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions
) -> dict[str, pulumi.Resource]:
    """Create the bucket, where it is the stack's own, and the right to read it for each model whose weights come from it, by name."""
    bucket = settings.storage.bucket
    if not isinstance(bucket, CreatedBucket | ExistingBucket):
        return {}
    key_alias = data_key_alias(base.cluster) if isinstance(bucket, CreatedBucket) else None
    if isinstance(bucket, CreatedBucket):
        args = PrivateBucketArgs(
            name=bucket.name,
            key_arn=base.data_key.arn,
            protect=settings.deletion_protection,
            versioned=True,
        )
        PrivateBucket("model-bucket", args, on_both)
    return {
        model.name: ModelAccess(
            f"{model.name}-access",
            ModelAccessArgs(
                cluster=base.cluster,
                cluster_name=base.control_plane.cluster_name,
                namespace=settings.namespace,
                model=model,
                key_alias=key_alias,
            ),
            on_both,
        )
        for model in settings.deployed_models
        if model.read_from_s3
    }


def shared_storage(
    settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions
) -> pulumi.Output[str] | None:
    """Create the file system, where the settings ask for one. Return how a volume names it."""
    if not isinstance(settings.storage.shared, EfsShare):
        return None
    args = SharedStorageArgs(
        cluster=base.cluster,
        vpc_id=base.network.vpc_id,
        subnets=base.network.node_subnets,
        clients=base.control_plane.security_group,
        key_arn=base.data_key.arn,
        protect=settings.deletion_protection,
    )
    return SharedStorage("shared-storage", args, on_both).volume_handle
