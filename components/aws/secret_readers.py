"""Who may read which secret of AWS Secrets Manager: a role for each namespace, taken on by one account of it.

Owns: the identity provider, by which IAM believes the cluster's tokens, and the roles. Does not own: the accounts
(`components.secret_delivery`), and the secrets, which somebody makes by hand.

Not by Pod Identity, as everything else here: it gives rights to pods, and no pod runs in the name of a namespace that
asks for a secret. External Secrets would need the rights of all namespaces for itself, and a store in any of them
could name the secrets of any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.iam import OpenIdConnectProvider, Role, RolePolicy

from components.aws.known_after import known_after
from components.aws.policy_document import VERSION, Statement, policy_document
from components.aws.workload_role import cut_role_name
from settings.cluster import EksCluster
from settings.needed_secrets import NeededSecret
from settings.secrets import AwsSecrets, store_path
from settings.vault_rules import READER

STS: Final = "sts.amazonaws.com"
SUFFIX: Final = "-??????"
"""Secrets Manager puts six characters of its own behind a name."""


@dataclass(frozen=True, kw_only=True)
class SecretReadersArgs:
    """`issuer` of the cluster's tokens, an address. `needed`: of all namespaces."""

    cluster: EksCluster
    issuer: pulumi.Input[str]
    kept: AwsSecrets
    needed: Sequence[NeededSecret]


class SecretReaders(pulumi.ComponentResource):
    """Makes the roles. `roles`: their ARNs by namespace, known once each has its rights."""

    roles: Mapping[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: SecretReadersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:identity:SecretReaders", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        provider = OpenIdConnectProvider(
            f"{name}-provider", url=args.issuer, client_id_lists=[STS], opts=child
        )
        roles: dict[str, pulumi.Output[str]] = {}
        for namespace in sorted({one.namespace for one in args.needed}):
            role = Role(
                f"{name}-{namespace}-role",
                name=cut_role_name(f"{args.cluster.name}-secrets-{namespace}"),
                assume_role_policy=pulumi.Output.all(provider.arn, args.issuer).apply(
                    lambda known, namespace=namespace: trust_document(known[0], known[1], namespace)
                ),
                opts=child,
            )
            policy = RolePolicy(
                f"{name}-{namespace}-policy",
                role=role.name,
                policy=policy_document(read_statements(args.cluster, args.kept, args.needed, namespace)),
                opts=child,
            )
            roles[namespace] = known_after(role.arn, policy.id)
        self.roles = roles
        self.register_outputs({"roles": roles})


def trust_document(provider_arn: str, issuer: str, namespace: str) -> str:
    """Return a role's trust: tokens of this cluster for one account of one namespace, made for AWS."""
    host = issuer.removeprefix("https://")
    statement: dict[str, Any] = {
        "Sid": "AccountOfTheNamespace",
        "Effect": "Allow",
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Principal": {"Federated": provider_arn},
        "Condition": {
            "StringEquals": {
                f"{host}:aud": STS,
                f"{host}:sub": f"system:serviceaccount:{namespace}:{READER}",
            }
        },
    }
    return json.dumps({"Version": VERSION, "Statement": [statement]})


def read_statements(
    cluster: EksCluster, kept: AwsSecrets, needed: Sequence[NeededSecret], namespace: str
) -> list[Statement]:
    """Return the right to read the secrets of a namespace, and to have them decrypted, whatever their key."""
    place = f"arn:{cluster.partition}:secretsmanager:{cluster.region}:{cluster.account}:secret"
    secrets = [
        f"{place}:{store_path(kept, namespace, one.name)}{SUFFIX}"
        for one in needed
        if one.namespace == namespace
    ]
    return [
        Statement(
            sid="ReadItsSecrets",
            actions=("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
            resources=secrets,
        ),
        Statement(
            sid="DecryptThem",
            actions=("kms:Decrypt",),
            resources=(f"arn:{cluster.partition}:kms:{cluster.region}:{cluster.account}:key/*",),
            conditions={
                "StringEquals": {"kms:ViaService": f"secretsmanager.{cluster.region}.{cluster.dns_suffix}"},
                "StringLike": {"kms:EncryptionContext:SecretARN": secrets},
            },
        ),
    ]
