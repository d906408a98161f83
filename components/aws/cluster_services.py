"""The AWS part that also needs the cluster's API: elastic nodes, storage of the models and their rights."""

import pulumi

from components.aws.cluster_base import ClusterBase, data_key_alias
from components.aws.karpenter import Karpenter, KarpenterArgs
from components.aws.karpenter_pool import KarpenterPool, KarpenterPoolArgs
from components.aws.model_access import ModelAccess, ModelAccessArgs
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.node_role import NodeRole, NodeRoleArgs, elastic_role_name
from components.aws.shared_storage import SharedStorage, SharedStorageArgs
from settings import Settings
from settings.pools import GpuPool, KarpenterProvisioner, Pool
from settings.storage import CreatedBucket, EfsShare, ExistingBucket
from settings.weights import StreamedWeights


def elastic_pools(
    settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions
) -> dict[str, pulumi.Resource]:
    """Create Karpenter, where a pool asks for it, and these pools, by name."""
    elastic = [pool for pool in settings.pools if isinstance(pool.provisioner, KarpenterProvisioner)]
    if not elastic:
        return {}
    # Not the role of managed pools: EKS lets those in by itself, and refuses a second entry for one role.
    role = NodeRole(
        "elastic-node-role",
        NodeRoleArgs(role_name=elastic_role_name(base.cluster), partition=base.cluster.partition),
        on_both,
    )
    karpenter = Karpenter(
        "karpenter",
        KarpenterArgs(
            cluster=base.cluster,
            cluster_name=base.control_plane.cluster_name,
            node_role_arn=role.arn,
            ready=base.ready,
        ),
        on_both,
    )
    return {
        pool.name: KarpenterPool(
            f"pool-{pool.name}",
            KarpenterPoolArgs(
                pool=pool,
                cluster=base.cluster,
                subnets=base.node_subnets(settings.zones_of(pool)),
                security_group=base.control_plane.security_group,
                node_role_name=role.name,
                tags=base.tags,
                core=_serves_core(settings, pool),
                ready=karpenter.ready,
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


def model_access(
    settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions
) -> dict[str, pulumi.Resource]:
    """Create the bucket, where it is the stack's own, and the right to read it of each model that streams, by name."""
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
        for model in settings.enabled_models
        if isinstance(model.weights, StreamedWeights)
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
