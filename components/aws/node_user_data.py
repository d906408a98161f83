"""What a node is told when it starts, in the language of its image: local disks, and how images are fetched.

Labels, taints and the way to the cluster are not here: EKS adds them for a node group, Karpenter for its nodes.
"""

import base64
from typing import Any, Final

import yaml

from settings.node_hardware import fast_pull, hardware
from settings.pools import Pool

BOUNDARY: Final = "node-config"


def group_user_data(pool: Pool) -> str | None:
    """Return the user data of a launch template, in base64, or None where there is nothing to say."""
    bottlerocket = pool.node_image == "bottlerocket"
    text = bottlerocket_settings(pool, with_disks=True) if bottlerocket else _multipart(pool)
    return base64.b64encode(text.encode()).decode() if text else None


def class_user_data(pool: Pool) -> str | None:
    """Return the user data of an EC2NodeClass. Its `instanceStorePolicy` says what becomes of the disks."""
    if pool.node_image == "bottlerocket":
        return bottlerocket_settings(pool, with_disks=False) or None
    return node_config(pool, with_disks=False) or None


def node_config(pool: Pool, *, with_disks: bool) -> str:
    """Return the NodeConfig of Amazon Linux 2023 (awslabs/amazon-eks-ami, nodeadm), or an empty text."""
    spec: dict[str, Any] = {}
    if with_disks and hardware(pool).instance_store:
        # Images, logs and scratch volumes then lie on all local disks, read and written as one.
        spec["instance"] = {"localStorage": {"strategy": "RAID0"}}
    if fast_pull(pool):
        spec["featureGates"] = {"FastImagePull": True}
    if not spec:
        return ""
    document = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}
    return yaml.safe_dump(document, sort_keys=True)


def bottlerocket_settings(pool: Pool, *, with_disks: bool) -> str:
    """Return the settings of Bottlerocket (its reference, bootstrap-commands and container-runtime), or an empty text."""
    parts: list[str] = []
    if with_disks and hardware(pool).instance_store:
        # `bind` without directories takes all of the runtime's and the kubelet's, from 1.46 on.
        parts.append(
            "[settings.bootstrap-commands.000-instance-store]\n"
            'commands = [["apiclient", "ephemeral-storage", "init"], ["apiclient", "ephemeral-storage", "bind"]]\n'
            "essential = true\n"
            'mode = "always"\n'
        )
    if fast_pull(pool):
        parts.append(
            '[settings.container-runtime]\nsnapshotter = "soci"\n\n'
            "[settings.container-runtime-plugins.soci-snapshotter]\n"
            'pull-mode = "parallel-pull-unpack"\n'
        )
    return "\n".join(parts)


def _multipart(pool: Pool) -> str:
    """Return the NodeConfig as EKS wants it in a launch template: it adds parts of its own."""
    config = node_config(pool, with_disks=True)
    if not config:
        return ""
    return (
        f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{BOUNDARY}"\n\n'
        f"--{BOUNDARY}\nContent-Type: application/node.eks.aws\n\n{config}\n--{BOUNDARY}--\n"
    )
