"""Arguments of storage: shared directory, bucket, their readers, image repositories."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.aws.model_access import ModelAccess, ModelAccessArgs
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.shared_storage import SharedStorage, SharedStorageArgs
from components.shared_claim import SharedClaim, SharedClaimArgs
from settings import Settings
from settings.cluster import EksCluster
from settings.storage import EfsShare
from settings.weights import StreamedWeights

KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def _cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


def _subnets(settings: Settings) -> dict[str, str]:
    return {zone: f"subnet-{index}" for index, zone in enumerate(settings.cluster.zones)}


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
    PrivateBucket: lambda _: PrivateBucketArgs(name="acme-models", key_arn=KEY, protect=True, versioned=True),
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
