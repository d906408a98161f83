"""Arguments of storage: shared directory, bucket, their readers, image repositories."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.audit_trail import AuditTrail, AuditTrailArgs
from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.aws.model_access import ModelAccess, ModelAccessArgs
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.shared_storage import SharedStorage, SharedStorageArgs
from components.shared_claim import SharedClaim, SharedClaimArgs
from components.weight_fill import Filling, WeightFill, WeightFillArgs
from settings import Settings
from settings.audit import S3Audit
from settings.cluster import EksCluster
from settings.fetch import Fetch
from settings.registry import Image
from settings.storage import EfsShare
from settings.weights import CachedWeights, JobFill, StreamedWeights

KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def _cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


def _subnets(settings: Settings) -> dict[str, str]:
    return {zone: f"subnet-{index}" for index, zone in enumerate(settings.cluster.zones)}


def _filling(settings: Settings) -> Filling:
    fill = JobFill(kind="job")
    weights = CachedWeights(kind="cache", claim="models", mount_path="/mnt/models", fill=fill)
    return Filling(
        model=settings.models[0].model_copy(update={"weights": weights}),
        weights=weights,
        fill=fill,
        fetch=Fetch(image=Image(repository="llm/fetch", tag="v1.0"), hub_token_secret="hub-token"),  # noqa: S106 - a Secret's name
        image="registry.invalid/llm/fetch:v1.0",
        region=settings.cluster.region,
        not_on=[pool.name for pool in settings.gpu_pools],
    )


FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    SharedStorage: lambda s: SharedStorageArgs(
        cluster=_cluster(s),
        vpc_id="vpc-1",
        subnets=_subnets(s),
        clients="sg-nodes",
        key_arn=KEY,
        protect=s.deletion_protection,
    ),
    SharedClaim: lambda s: SharedClaimArgs(
        namespace=s.namespace, share=EfsShare(kind="efs"), volume_handle="fs-1::fsap-1"
    ),
    WeightFill: lambda s: WeightFillArgs(
        namespace=s.namespace, priority_class="best-effort", filling=_filling(s)
    ),
    PrivateBucket: lambda _: PrivateBucketArgs(name="acme-models", key_arn=KEY, protect=True, versioned=True),
    AuditTrail: lambda s: AuditTrailArgs(
        cluster=_cluster(s),
        audit=S3Audit(kind="s3", bucket="acme-audit", mode="compliance"),
        logs="/aws/eks/llm-prod/cluster",
        log_key=KEY,
        account_root="arn:aws:iam::123456789012:root",
        protect=True,
    ),
    ModelAccess: lambda s: ModelAccessArgs(
        cluster=_cluster(s),
        cluster_name=_cluster(s).name,
        namespace=s.namespace,
        model=next(model for model in s.models if isinstance(model.weights, StreamedWeights)),
        key_alias="llm-prod-data",
    ),
    ImageRepositories: lambda s: ImageRepositoriesArgs(
        repositories=[model.image.repository for model in s.models], key_arn=KEY
    ),
}
