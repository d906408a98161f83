"""What add-ons need of AWS: buckets, a key, and the rights of their pods, by EKS Pod Identity.

A function that wires components, like `cluster_services`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.addons.loki import ACCOUNT as LOKI_ACCOUNT
from components.addons.tempo import ACCOUNT as TEMPO_ACCOUNT
from components.addons.vault import ACCOUNT as VAULT_ACCOUNT
from components.aws.cluster_base import ClusterBase, account_root, data_key_alias
from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.policy_document import Statement
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs
from components.aws.volume_class import VolumeClass, VolumeClassArgs
from components.aws.workload_role import ServiceAccountRef, WorkloadRole, WorkloadRoleArgs
from settings import Settings
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.cluster import EksCluster
from settings.database import Backups, Postgres
from settings.storage import Bucket, CreatedBucket, ExistingBucket, EBS_CLASS

DATABASE = "database"
"""Stands beside the units in the table of rights."""


@dataclass(frozen=True, kw_only=True)
class AddonServices:
    """`access`: what must be there before the pods of a unit, by its name. `volumes`: before any claim of a volume."""

    access: Mapping[str, Sequence[pulumi.Resource]]
    volumes: Sequence[pulumi.Resource]


def addon_services(settings: Settings, base: ClusterBase, on_both: pulumi.ResourceOptions) -> AddonServices:
    """Create it, for the add-ons that the stack has."""
    managed = {unit.name: unit for unit in settings.asked.units("managed")}
    access: defaultdict[str, list[pulumi.Resource]] = defaultdict(list)
    store = settings.observability.store
    if isinstance(store, CreatedBucket | ExistingBucket):
        made = _bucket("telemetry-bucket", settings, base, store, on_both)
        for unit, account in (("loki", LOKI_ACCOUNT), ("tempo", TEMPO_ACCOUNT)):
            if unit in managed:
                statements = bucket_use(base.cluster, store.name, _key_alias(base.cluster, store))
                access[unit] += [
                    *made,
                    _role(unit, account, ADDON_NAMESPACES[unit], statements, base, on_both),
                ]
    if "vault" in managed:
        key = EncryptionKey("vault-key", _vault_key(base.cluster), on_both)
        statements = [_unseal(base.cluster)]
        access["vault"] += [
            key,
            _role("vault", VAULT_ACCOUNT, ADDON_NAMESPACES["vault"], statements, base, on_both),
        ]
    database = settings.database
    if isinstance(database, Postgres) and isinstance(database.backups, Backups):
        bucket = database.backups.bucket
        if isinstance(bucket, CreatedBucket | ExistingBucket):
            made = _bucket("backup-bucket", settings, base, bucket, on_both)
            statements = bucket_use(base.cluster, bucket.name, _key_alias(base.cluster, bucket))
            # CloudNativePG names the account of a cluster's pods like the cluster.
            role = _role(DATABASE, database.name, database.namespace, statements, base, on_both)
            access[DATABASE] += [*made, role]
    own_class = settings.storage.volume_class is None and any(unit.volumes for unit in managed.values())
    wanted = own_class or (settings.storage.volume_class is None and isinstance(database, Postgres))
    volumes = [VolumeClass("volumes", VolumeClassArgs(name=EBS_CLASS), on_both)] if wanted else []
    return AddonServices(access=access, volumes=volumes)


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


def _bucket(
    name: str, settings: Settings, base: ClusterBase, bucket: Bucket, on_both: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Make the bucket, where it is the stack's own."""
    if not isinstance(bucket, CreatedBucket):
        return []
    args = PrivateBucketArgs(
        name=bucket.name, key_arn=base.data_key.arn, protect=settings.deletion_protection, versioned=False
    )
    return [PrivateBucket(name, args, on_both)]


def _key_alias(cluster: EksCluster, bucket: Bucket) -> str | None:
    return data_key_alias(cluster) if isinstance(bucket, CreatedBucket) else None


def _role(
    name: str,
    account: str,
    namespace: str,
    statements: Sequence[Statement],
    base: ClusterBase,
    on_both: pulumi.ResourceOptions,
) -> pulumi.Resource:
    # Pods that start before the association get no credentials, and none later.
    reference = ServiceAccountRef(cluster=base.control_plane.cluster_name, namespace=namespace, name=account)
    args = WorkloadRoleArgs(role_name=f"{base.cluster.name}-{name}", statements=statements, account=reference)
    return WorkloadRole(f"{name}-access", args, on_both)
