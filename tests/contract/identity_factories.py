"""Arguments of roles and keys."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.policy_document import Statement
from components.aws.secret_readers import SecretReaders, SecretReadersArgs
from components.aws.workload_role import ServiceAccountRef, WorkloadRole, WorkloadRoleArgs
from components.secret_delivery import SecretDelivery, SecretDeliveryArgs
from settings import EksCluster, Settings
from settings.secrets import AwsSecrets, VaultSecrets

FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    EncryptionKey: lambda s: EncryptionKeyArgs(
        alias=s.cluster.region,
        description="What it encrypts.",
        account_root="arn:aws:iam::123456789012:root",
        services=["logs.us-east-1.amazonaws.com"],
    ),
    SecretReaders: lambda s: SecretReadersArgs(
        cluster=cast("EksCluster", s.cluster),
        issuer="https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE",
        kept=cast("AwsSecrets", s.secrets),
        needed=s.needed_secrets,
    ),
    SecretDelivery: lambda s: SecretDeliveryArgs(
        namespace="monitoring",
        secrets=s.needed_secrets,
        kept=VaultSecrets(kind="vault", prefix="llm"),
        region="us-east-1",
        role_arn="arn:aws:iam::123456789012:role/reader",
    ),
    WorkloadRole: lambda s: WorkloadRoleArgs(
        role_name="reader",
        statements=[Statement(sid="Read", actions=["s3:GetObject"], resources=["arn:aws:s3:::llm-models/*"])],
        managed_policies=["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"],
        account=ServiceAccountRef(cluster="llm", namespace=s.namespace, name="reader"),
    ),
}
