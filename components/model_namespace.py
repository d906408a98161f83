"""The models' namespace.

Owns: the namespace and its pod security level. Does not own: what runs in it.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

from components.mesh import mesh_label
from settings.security import PodLevel

# The release whose rules of `restricted` the pods here are written for. A cluster that is newer keeps
# applying these; "latest" could refuse pods on the day of an upgrade.
POD_SECURITY_VERSION: Final = "v1.36"


@dataclass(frozen=True, kw_only=True)
class ModelNamespaceArgs:
    """`name` of the namespace. pods: level that they must keep. meshed: it is in the mesh."""

    name: str
    pods: PodLevel = "restricted"
    meshed: bool = False


def namespace_labels(pods: PodLevel = "restricted") -> dict[str, str]:
    """Return the labels: pods below a level are refused, and the audit log says so of all that are below `restricted`."""
    levels: dict[str, PodLevel] = {"enforce": pods, "audit": "restricted", "warn": "restricted"}
    labels = {"app.kubernetes.io/part-of": "vllm-platform"}
    for mode, level in levels.items():
        labels[f"pod-security.kubernetes.io/{mode}"] = level
        labels[f"pod-security.kubernetes.io/{mode}-version"] = POD_SECURITY_VERSION
    return labels


class ModelNamespace(pulumi.ComponentResource):
    """Makes the namespace. `name` is known only when it exists, so what uses it waits for it."""

    name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:serving:ModelNamespace", name, {}, opts)
        namespace = Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.name,
                "labels": {**namespace_labels(args.pods), **mesh_label(meshed=args.meshed)},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = namespace.metadata.name
        self.register_outputs({"name": self.name})
