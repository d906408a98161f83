"""The storage class of add-ons' volumes: encrypted gp3 of Amazon EBS, in the zone where the pod is.

Owns: the class, the cluster's default. Does not own: the driver, an add-on of EKS.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.storage.v1 import StorageClass

DRIVER: Final = "ebs.csi.aws.com"
DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, kw_only=True)
class VolumeClassArgs:
    """`name` of the class."""

    name: str


class VolumeClass(pulumi.ComponentResource):
    """Makes it. `name` is known once it is there."""

    name: pulumi.Output[str]

    def __init__(self, name: str, args: VolumeClassArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:storage:VolumeClass", name, {}, opts)
        made = StorageClass(
            f"{name}-class",
            # A new cluster of EKS has a class gp2 that is nobody's default: a claim that names none would wait for ever.
            metadata={"name": args.name, "annotations": {DEFAULT: "true"}},
            provisioner=DRIVER,
            parameters={"type": "gp3", "encrypted": "true"},
            # A volume lies in one zone: it is made where its pod can run, not before.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            reclaim_policy="Delete",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = made.metadata.name
        self.register_outputs({"name": self.name})
