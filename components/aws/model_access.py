"""The right of one model to read its own weights from S3, handed to its pods by EKS Pod Identity.

Owns: the role and its association with the model's service account. Does not own: the service account, and
the bucket.

The pods get no Kubernetes token (`automountServiceAccountToken: false`), and need none: EKS adds a projected
volume of its own to them, with a token for Pod Identity alone, whatever that field says
(aws/amazon-eks-pod-identity-webhook 3bf80a3, pkg/handler/handler.go, getPodSpecPatch). It does so when a pod
is made, so the association must be there before the first one.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.eks import PodIdentityAssociation

from components.aws.known_after import known_after
from components.aws.policy_document import Statement
from components.aws.workload_role import WorkloadRole, WorkloadRoleArgs
from settings.cluster import EksCluster
from settings.models import Model
from settings.weights import StreamedWeights

ROLE_NAME_MAX: Final = 64
DIGEST_LENGTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class ModelAccessArgs:
    """`model` streams its weights. `key_alias`: of the bucket's key, where the program made it."""

    cluster: EksCluster
    cluster_name: pulumi.Input[str]
    namespace: str
    model: Model
    key_alias: str | None = None


class ModelAccess(pulumi.ComponentResource):
    """Grants it. `ready`, the role's ARN, is known once new pods of the model get it."""

    ready: pulumi.Output[str]

    def __init__(self, name: str, args: ModelAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:identity:ModelAccess", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = WorkloadRole(
            f"{name}-reader",
            WorkloadRoleArgs(
                role_name=role_name(args.cluster.name, args.model.name),
                statements=read_statements(args.cluster, args.model, args.key_alias),
            ),
            opts=child,
        )
        association = PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            # ModelService names the account like the model.
            service_account=args.model.name,
            role_arn=role.arn,
            opts=child,
        )
        self.ready = known_after(role.arn, association.association_id)
        self.register_outputs({"ready": self.ready})


def role_name(cluster: str, model: str) -> str:
    """Return the role's name, unique in the account: cut, with a digest of what it stands for, where it is too long."""
    whole = f"{cluster}-model-{model}"
    if len(whole) <= ROLE_NAME_MAX:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{whole[: ROLE_NAME_MAX - DIGEST_LENGTH - 1]}-{digest}"


def read_statements(cluster: EksCluster, model: Model, key_alias: str | None) -> list[Statement]:
    """Return the right to list and read the model's directory, and no other. Raises TypeError for a model without one."""
    weights = model.weights
    if not isinstance(weights, StreamedWeights):
        message = f"model {model.name}: weights of kind {weights.kind} are not read from a bucket"
        raise TypeError(message)
    bucket = f"arn:{cluster.partition}:s3:::{weights.bucket}"
    statements = [
        Statement(
            sid="ReadItsWeights", actions=("s3:GetObject",), resources=(f"{bucket}/{weights.prefix}/*",)
        ),
        Statement(
            sid="ListItsWeights",
            actions=("s3:ListBucket",),
            resources=(bucket,),
            # Loaders ask for the directory with and without the slash at its end.
            conditions={"StringLike": {"s3:prefix": [weights.prefix, f"{weights.prefix}/*"]}},
        ),
    ]
    if key_alias is not None:
        service = f"s3.{cluster.region}.{cluster.dns_suffix}"
        statements.append(
            Statement(
                sid="DecryptItsWeights",
                actions=("kms:Decrypt",),
                # By its alias, which the settings know: with the key's id, which only AWS knows, nobody could read this
                # policy before it is in force.
                resources=(f"arn:{cluster.partition}:kms:{cluster.region}:{cluster.account}:key/*",),
                conditions={
                    "StringEquals": {"kms:ViaService": service},
                    "ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{key_alias}"},
                },
            )
        )
    return statements
