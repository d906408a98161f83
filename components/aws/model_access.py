"""The right to read one model's weights from S3, handed to who reads them by EKS Pod Identity.

That is the model itself where it streams them, or the Job that fills its claim.

Owns: the role and its association with the model's service account. Does not own: the service account, and
the bucket.

The pods get no Kubernetes token (`automountServiceAccountToken: false`), and need none: EKS adds a projected
volume of its own to them, with a token for Pod Identity alone, whatever that field says
(aws/amazon-eks-pod-identity-webhook 3bf80a3, pkg/handler/handler.go, getPodSpecPatch). It does so when a pod
is made, so the association must be there before the first one.
"""

from dataclasses import dataclass

import pulumi
from pulumi_aws.eks import PodIdentityAssociation

from components.aws.known_after import known_after
from components.aws.policy_document import Statement
from components.aws.workload_role import WorkloadRole, WorkloadRoleArgs, cut_role_name
from components.model_names import reader_account
from settings.cluster import EksCluster
from settings.models import Model
from settings.weights import bucket_and_prefix


@dataclass(frozen=True, kw_only=True)
class ModelAccessArgs:
    """`model`'s weights are read from a bucket. `key_alias`: of the bucket's key, where the program made it."""

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
            service_account=reader_account(args.model),
            role_arn=role.arn,
            opts=child,
        )
        self.ready = known_after(role.arn, association.association_id)
        self.register_outputs({"ready": self.ready})


def role_name(cluster: str, model: str) -> str:
    """Return the role's name, unique in the account."""
    return cut_role_name(f"{cluster}-model-{model}")


def read_statements(cluster: EksCluster, model: Model, key_alias: str | None) -> list[Statement]:
    """Return the right to list and read the model's directory, and no other. Raises TypeError for a model without one."""
    if model.read_from_s3 is None:
        message = f"model {model.name}: weights of kind {model.weights.kind} are not read from a bucket"
        raise TypeError(message)
    name, prefix = bucket_and_prefix(model.read_from_s3)
    bucket = f"arn:{cluster.partition}:s3:::{name}"
    statements = [
        Statement(sid="ReadItsWeights", actions=("s3:GetObject",), resources=(f"{bucket}/{prefix}/*",)),
        Statement(
            sid="ListItsWeights",
            actions=("s3:ListBucket",),
            resources=(bucket,),
            # Loaders ask for the directory with and without the slash at its end.
            conditions={"StringLike": {"s3:prefix": [prefix, f"{prefix}/*"]}},
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
