"""What add-ons need of AWS: buckets, a key, and the rights of their pods, by EKS Pod Identity.

A function that wires components, like `cluster_services`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.addons.loki import SERVICE_ACCOUNT as LOKI_ACCOUNT
from components.addons.surroundings import Surroundings
from components.addons.tempo import SERVICE_ACCOUNT as TEMPO_ACCOUNT
from components.addons.vault import NAME as VAULT_ACCOUNT
from components.aws.audit_trail import AGENT, write_gateway_lines
from components.aws.cluster_base import ClusterBase, account_root, data_key_alias
from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.policy_document import Statement
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.secret_readers import SecretReaders, SecretReadersArgs
from components.aws.volume_class import VolumeClass, VolumeClassArgs
from components.aws.workload_role import ServiceAccountRef, WorkloadRole, WorkloadRoleArgs
from components.node_agents import LOG_AGENT
from settings import Settings
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.audit import S3Audit
from settings.cluster import EksCluster
from settings.database import Backups, Postgres
from settings.needed_secrets import DATABASE
from settings.secrets import AwsSecrets
from settings.storage import EBS_CLASS, CreatedBucket, ExistingBucket


def addon_services(
    settings: Settings, base: ClusterBase, nodes: Sequence[pulumi.Resource], on_both: pulumi.ResourceOptions
) -> Surroundings:
    """Create it, for the add-ons that the stack has. `nodes`: what must be there before their pods."""
    managed = {unit.name: unit for unit in settings.asked.units("managed")}
    make = _Maker(settings=settings, base=base, on_both=on_both)
    access: dict[str, Sequence[pulumi.Resource]] = {}
    store = settings.observability.store
    if isinstance(store, CreatedBucket | ExistingBucket):
        accounts = {"loki": LOKI_ACCOUNT, "tempo": TEMPO_ACCOUNT}
        of_pods = {
            name: _Account(namespace=ADDON_NAMESPACES[name], name=account)
            for name, account in accounts.items()
            if name in managed
        }
        access |= make.bucket("telemetry-bucket", store, of_pods)
    if "vault" in managed:
        key = EncryptionKey("vault-key", _vault_key(base.cluster), on_both)
        account = _Account(namespace=ADDON_NAMESPACES["vault"], name=VAULT_ACCOUNT)
        access["vault"] = [key, make.role("vault", account, [_unseal(base.cluster)])]
    if isinstance(settings.audit, S3Audit) and AGENT in managed:
        account = _Account(namespace=LOG_AGENT.namespace, name=LOG_AGENT.service_account)
        access[AGENT] = [make.role(AGENT, account, write_gateway_lines(base.cluster, settings.audit))]
    database = settings.database
    if isinstance(database, Postgres) and isinstance(database.backups, Backups):
        bucket = database.backups.bucket
        if isinstance(bucket, CreatedBucket | ExistingBucket):
            # CloudNativePG names the account of a cluster's pods like the cluster.
            account = _Account(namespace=database.namespace, name=database.name)
            access |= make.bucket("backup-bucket", bucket, {DATABASE: account})
    stored = isinstance(database, Postgres) or any(unit.volumes for unit in managed.values())
    own_class = stored and settings.storage.volume_class is None
    return Surroundings(
        nodes=nodes,
        access=access,
        volumes=[VolumeClass("volumes", VolumeClassArgs(name=EBS_CLASS), on_both)] if own_class else [],
        vault_key=vault_key_alias(base.cluster),
        secret_roles=_secret_roles(settings, base, on_both),
    )


def _secret_roles(
    settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions
) -> Mapping[str, pulumi.Input[str]]:
    """Let each namespace read its secrets, where they are kept in AWS Secrets Manager."""
    if not isinstance(settings.secrets, AwsSecrets) or not settings.needed_secrets:
        return {}
    args = SecretReadersArgs(
        cluster=base.cluster,
        issuer=base.control_plane.issuer,
        kept=settings.secrets,
        needed=settings.needed_secrets,
    )
    return SecretReaders("secret-readers", args, on_both).roles


@dataclass(frozen=True, kw_only=True)
class _Account:
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class _Maker:
    settings: Settings
    base: ClusterBase
    on_both: pulumi.ResourceOptions

    def bucket(
        self, name: str, bucket: CreatedBucket | ExistingBucket, users: Mapping[str, _Account]
    ) -> dict[str, Sequence[pulumi.Resource]]:
        """Make the bucket, where it is the stack's own, and the rights of its users."""
        made: list[pulumi.Resource] = []
        key_alias = None
        if isinstance(bucket, CreatedBucket):
            key_alias = data_key_alias(self.base.cluster)
            args = PrivateBucketArgs(
                name=bucket.name,
                key_arn=self.base.data_key.arn,
                protect=self.settings.deletion_protection,
                versioned=False,
            )
            made.append(PrivateBucket(name, args, self.on_both))
        statements = bucket_use(self.base.cluster, bucket.name, key_alias)
        return {user: [*made, self.role(user, account, statements)] for user, account in users.items()}

    def role(self, name: str, account: _Account, statements: Sequence[Statement]) -> WorkloadRole:
        """Make a role and hand it to an account. Pods that start before that get no credentials, and none later."""
        cluster = self.base.control_plane.cluster_name
        args = WorkloadRoleArgs(
            role_name=f"{self.base.cluster.name}-{name}",
            statements=statements,
            account=ServiceAccountRef(cluster=cluster, namespace=account.namespace, name=account.name),
        )
        return WorkloadRole(f"{name}-access", args, self.on_both)


def vault_key_alias(cluster: EksCluster) -> str:
    """Return the name of the key that unseals Vault, without `alias/`."""
    return f"{cluster.name}-vault"


def bucket_use(cluster: EksCluster, bucket: str, key_alias: str | None) -> list[Statement]:
    """Return the right to keep objects in a bucket, and to delete them when they are old."""
    arn = f"arn:{cluster.partition}:s3:::{bucket}"
    statements = [
        Statement(sid="List", actions=("s3:ListBucket",), resources=(arn,)),
        Statement(
            sid="KeepObjects",
            actions=(
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectTagging",
                "s3:PutObject",
                "s3:PutObjectTagging",
            ),
            resources=(f"{arn}/*",),
        ),
    ]
    if key_alias is not None:
        service = f"s3.{cluster.region}.{cluster.dns_suffix}"
        conditions = {
            "StringEquals": {"kms:ViaService": service},
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{key_alias}"},
        }
        statements.append(
            Statement(
                sid="UseItsKey",
                actions=("kms:Decrypt", "kms:GenerateDataKey"),
                resources=(_keys(cluster),),
                conditions=conditions,
            )
        )
    return statements


def _unseal(cluster: EksCluster) -> Statement:
    """Return what Vault's seal of kind awskms asks for."""
    return Statement(
        sid="Unseal",
        actions=("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"),
        resources=(_keys(cluster),),
        conditions={"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{vault_key_alias(cluster)}"}},
    )


def _keys(cluster: EksCluster) -> str:
    return f"arn:{cluster.partition}:kms:{cluster.region}:{cluster.account}:key/*"


def _vault_key(cluster: EksCluster) -> EncryptionKeyArgs:
    return EncryptionKeyArgs(
        alias=vault_key_alias(cluster),
        description=f"Unseals Vault of the cluster {cluster.name}; without it nothing in Vault can be read",
        account_root=account_root(cluster),
    )
