"""A directory that all replicas share: Amazon EFS, reached from the cluster's nodes and from nowhere else.

Owns: the file system with its policy, its backups, one mount target a zone, the security group in front of
them and the one access point. Does not own: the driver on the nodes (an add-on of EKS), and the volume and
claim (`SharedClaim`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.ec2 import SecurityGroup
from pulumi_aws.efs import AccessPoint, BackupPolicy, FileSystem, FileSystemPolicy, MountTarget
from pulumi_aws.vpc import SecurityGroupIngressRule

from components.aws.policy_document import Statement, policy_document
from components.inference_service import RUN_AS
from settings.cluster import EksCluster

NFS_PORT: Final = 2049
DIRECTORY: Final = "/models"
DIRECTORY_MODE: Final = "0750"
"""Of the directory, when the access point makes it: the engines' user writes, their group reads."""


@dataclass(frozen=True, kw_only=True)
class SharedStorageArgs:
    """`subnets`: of the nodes, by zone. `clients`: security group of whoever mounts. `protect`: no `pulumi destroy`."""

    cluster: EksCluster
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    clients: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    protect: bool


class SharedStorage(pulumi.ComponentResource):
    """Makes the file system. `volume_handle`, as the driver reads it, is known once every zone can mount it."""

    volume_handle: pulumi.Output[str]

    def __init__(
        self, name: str, args: SharedStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:storage:SharedStorage", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        files = self._file_system(name)
        entrance = self._access_point(name, files)
        policy = FileSystemPolicy(
            f"{name}-policy",
            file_system_id=files.id,
            policy=policy_document(file_system_statements(files.arn, entrance.arn)),
            opts=self._child,
        )
        targets = self._mount_targets(name, files)
        # The form is FILE_SYSTEM:PATH:ACCESS_POINT; the access point has the path.
        self.volume_handle = pulumi.Output.all(files.id, entrance.id, policy.id, *targets).apply(
            lambda known: f"{known[0]}::{known[1]}"
        )
        self.register_outputs({"volume_handle": self.volume_handle})

    def _file_system(self, name: str) -> FileSystem:
        cluster = self._args.cluster
        files = FileSystem(
            f"{name}-files",
            creation_token=f"{cluster.name}-models",
            encrypted=True,
            kms_key_id=self._args.key_arn,
            # All replicas of a model read all of its weights at once, and then nothing for days: neither
            # bursts by size nor a provisioned rate fit that.
            throughput_mode="elastic",
            # Weights that nobody has read for three months move to a cheaper class, where each read is paid for;
            # the first replica that reads them moves them back. One of the two an entry, as the API wants it.
            lifecycle_policies=[
                {"transition_to_ia": "AFTER_90_DAYS"},
                {"transition_to_primary_storage_class": "AFTER_1_ACCESS"},
            ],
            tags={"Name": f"{cluster.name}-models"},
            opts=self._kept,
        )
        BackupPolicy(
            f"{name}-backup",
            file_system_id=files.id,
            backup_policy={"status": "ENABLED"},
            opts=self._child,
        )
        return files

    def _access_point(self, name: str, files: FileSystem) -> AccessPoint:
        return AccessPoint(
            f"{name}-entrance",
            file_system_id=files.id,
            # Whoever mounts it is this user, whatever the pod says.
            posix_user={"uid": RUN_AS, "gid": RUN_AS},
            root_directory={
                "path": DIRECTORY,
                "creation_info": {
                    "owner_uid": RUN_AS,
                    "owner_gid": RUN_AS,
                    "permissions": DIRECTORY_MODE,
                },
            },
            tags={"Name": f"{self._args.cluster.name}-models"},
            opts=self._kept,
        )

    def _mount_targets(self, name: str, files: FileSystem) -> list[pulumi.Output[str]]:
        group = SecurityGroup(
            f"{name}-group",
            name=f"{self._args.cluster.name}-models",
            description="Shared directory of the models: NFS from the nodes",
            vpc_id=self._args.vpc_id,
            opts=self._child,
        )
        # No rule for what goes out: a mount target answers, it never asks.
        rule = SecurityGroupIngressRule(
            f"{name}-nfs",
            security_group_id=group.id,
            referenced_security_group_id=self._args.clients,
            ip_protocol="tcp",
            from_port=NFS_PORT,
            to_port=NFS_PORT,
            description="NFS over TLS from the nodes",
            opts=self._child,
        )
        targets = [
            MountTarget(
                f"{name}-{zone}",
                file_system_id=files.id,
                subnet_id=subnet,
                security_groups=[group.id],
                opts=self._child,
            )
            for zone, subnet in sorted(self._args.subnets.items())
        ]
        return [rule.id, *(target.id for target in targets)]


def file_system_statements(
    file_system: pulumi.Input[str], access_point: pulumi.Input[str]
) -> list[Statement]:
    """Return the file system's policy: who can reach a mount target mounts the one directory, over TLS.

    The driver mounts without an IAM identity, so it is any principal; without a policy of its own a file
    system would admit them as root and to its root directory.
    """
    return [
        Statement(
            sid="MountTheDirectory",
            actions=("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
            resources=(file_system,),
            principals={"AWS": "*"},
            conditions={
                "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                "StringEquals": {"elasticfilesystem:AccessPointArn": access_point},
            },
        ),
        Statement(
            sid="OnlyOverTls",
            effect="Deny",
            actions=("*",),
            resources=(file_system,),
            principals={"AWS": "*"},
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
    ]
