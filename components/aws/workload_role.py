"""A role of one workload, handed to its pods by EKS Pod Identity.

Owns: the role, its policy and, unless an EKS add-on brings its own, the association with the pods' service
account. Does not own: the service account.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.eks import PodIdentityAssociation
from pulumi_aws.iam import Role, RolePolicy, RolePolicyAttachment

from components.aws.known_after import known_after
from components.aws.policy_document import Statement, pod_identity_trust, policy_document

ROLE_NAME_MAX: Final = 64
DIGEST_LENGTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class ServiceAccountRef:
    """The pods that get the role: those of a service account. `cluster` is the EKS cluster's name."""

    cluster: pulumi.Input[str]
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class WorkloadRoleArgs:
    """`role_name` is unique in the account, at most 64 characters.

    statements: what the workload may do. managed_policies: ARNs of AWS's own policies, where AWS changes what a
    workload of its own needs. account: None where an EKS add-on makes the association.
    """

    role_name: str
    statements: Sequence[Statement] = ()
    managed_policies: Sequence[str] = ()
    account: ServiceAccountRef | None = None


def cut_role_name(whole: str) -> str:
    """Return a role's name, unique in the account: cut, with a digest of what it stands for, where it is too long."""
    if len(whole) <= ROLE_NAME_MAX:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{whole[: ROLE_NAME_MAX - DIGEST_LENGTH - 1]}-{digest}"


class WorkloadRole(pulumi.ComponentResource):
    """Makes the role. `arn` is known once it has all its rights."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:identity:WorkloadRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = Role(
            f"{name}-role",
            name=args.role_name,
            assume_role_policy=pod_identity_trust(),
            opts=child,
        )
        rights: list[pulumi.Output[str]] = []
        if args.statements:
            policy = RolePolicy(
                f"{name}-policy", role=role.name, policy=policy_document(args.statements), opts=child
            )
            rights.append(policy.id)
        for arn in args.managed_policies:
            label = arn.rpartition("/")[2]
            attachment = RolePolicyAttachment(f"{name}-{label}", role=role.name, policy_arn=arn, opts=child)
            rights.append(attachment.id)
        # Whoever is handed the role waits for its rights: a controller that starts without them fails for
        # minutes.
        self.arn = known_after(role.arn, *rights)
        if args.account is not None:
            PodIdentityAssociation(
                f"{name}-association",
                cluster_name=args.account.cluster,
                namespace=args.account.namespace,
                service_account=args.account.name,
                role_arn=self.arn,
                opts=child,
            )
        self.register_outputs({"arn": self.arn})
