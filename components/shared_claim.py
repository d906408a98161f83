"""The claim that models name for a directory they share: ReadWriteMany, on EFS or on any NFS server.

Owns: a storage class, a volume and its claim. Does not own: the directory itself, and the claim's namespace.

Static: the program makes the volume, and no controller ever does. A driver that makes volumes on demand needs
the right to make and delete access points on the file system, for one directory that never changes.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import (
    CSIPersistentVolumeSourceArgs,
    NFSVolumeSourceArgs,
    ObjectReferenceArgs,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.storage.v1 import StorageClass

from settings.storage import EfsShare, NfsShare

EFS_DRIVER: Final = "efs.csi.aws.com"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
ACCESS_MODE: Final = "ReadWriteMany"


@dataclass(frozen=True, kw_only=True)
class SharedClaimArgs:
    """`volume_handle` is what the driver of EFS mounts; an NFS share has none. Raises ValueError for EFS without one."""

    namespace: pulumi.Input[str]
    share: EfsShare | NfsShare
    volume_handle: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a volume that would lie nowhere."""
        if isinstance(self.share, EfsShare) and self.volume_handle is None:
            message = f"claim {self.share.claim}: a share of kind efs needs the handle of its file system"
            raise ValueError(message)


class SharedClaim(pulumi.ComponentResource):
    """Makes the three objects. `claim` is the claim's name, known once it is bound."""

    claim: pulumi.Output[str]

    def __init__(self, name: str, args: SharedClaimArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:storage:SharedClaim", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        # Class and volume belong to no namespace. No label holds a dot, so no two claims make the same name.
        unique = pulumi.Output.from_input(args.namespace).apply(
            lambda namespace: f"{namespace}.{args.share.claim}"
        )
        storage_class = StorageClass(
            f"{name}-class",
            metadata=ObjectMetaArgs(name=unique),
            provisioner=NO_PROVISIONER,
            reclaim_policy="Retain",
            # At once: the directory is in every zone, so there is no node to wait for.
            volume_binding_mode="Immediate",
            opts=self._child,
        )
        volume = PersistentVolume(
            f"{name}-volume",
            metadata=ObjectMetaArgs(name=unique),
            spec=self._volume(storage_class),
            opts=self._child,
        )
        claim = PersistentVolumeClaim(
            f"{name}-claim",
            metadata=ObjectMetaArgs(name=args.share.claim, namespace=args.namespace),
            spec={
                "access_modes": [ACCESS_MODE],
                "resources": {"requests": {"storage": args.share.size}},
                "storage_class_name": storage_class.metadata.name,
                "volume_mode": "Filesystem",
                "volume_name": volume.metadata.name,
            },
            opts=self._child,
        )
        self.claim = claim.metadata.name
        self.register_outputs({"claim": self.claim})

    def _volume(self, storage_class: StorageClass) -> PersistentVolumeSpecArgs:
        share = self._args.share
        spec = PersistentVolumeSpecArgs(
            access_modes=[ACCESS_MODE],
            capacity={"storage": share.size},
            # Deleting the claim, or the whole stack, leaves every file where it is.
            persistent_volume_reclaim_policy="Retain",
            storage_class_name=storage_class.metadata.name,
            volume_mode="Filesystem",
            # Both name each other: the volume waits for this claim, and no other one of the class takes it.
            claim_ref=ObjectReferenceArgs(
                api_version="v1",
                kind="PersistentVolumeClaim",
                name=share.claim,
                namespace=self._args.namespace,
            ),
        )
        if isinstance(share, NfsShare):
            spec.nfs = NFSVolumeSourceArgs(server=share.server, path=share.path)
            # hard: a server that is away for a minute must not hand an engine half a file.
            spec.mount_options = ["nfsvers=4.1", "hard"]
        elif self._args.volume_handle is not None:
            spec.csi = CSIPersistentVolumeSourceArgs(
                driver=EFS_DRIVER, volume_handle=self._args.volume_handle
            )
        return spec
