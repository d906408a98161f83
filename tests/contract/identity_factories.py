"""Arguments of roles and keys."""

from collections.abc import Callable
from typing import Any, Final

import pulumi

from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.policy_document import Statement
from components.aws.workload_role import ServiceAccountRef, WorkloadRole, WorkloadRoleArgs
from settings import Settings

FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    EncryptionKey: lambda s: EncryptionKeyArgs(
        alias=s.cluster.region,
        description="What it encrypts.",
        account_root="arn:aws:iam::123456789012:root",
        services=["logs.us-east-1.amazonaws.com"],
    ),
    WorkloadRole: lambda s: WorkloadRoleArgs(
        role_name="reader",
        statements=[Statement(sid="Read", actions=["s3:GetObject"], resources=["arn:aws:s3:::llm-models/*"])],
        managed_policies=["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"],
        account=ServiceAccountRef(cluster="llm", namespace=s.namespace, name="reader"),
    ),
}
