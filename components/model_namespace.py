"""The models' namespace.

Owns: the namespace and its pod security level. Does not own: what runs in it.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

# The release whose rules of `restricted` the pods here are written for. A cluster that is newer keeps
# applying these; "latest" could refuse pods on the day of an upgrade.
POD_SECURITY_VERSION: Final = "v1.36"


@dataclass(frozen=True, kw_only=True)
class ModelNamespaceArgs:
    """`name` of the namespace."""

    name: str


def namespace_labels() -> dict[str, str]:
    """Return the labels: pods below the level `restricted` are refused, and the audit log says so."""
    labels = {"app.kubernetes.io/part-of": "vllm-platform"}
    for mode in ("enforce", "audit", "warn"):
        labels[f"pod-security.kubernetes.io/{mode}"] = "restricted"
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
            metadata={"name": args.name, "labels": namespace_labels()},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = namespace.metadata.name
        self.register_outputs({"name": self.name})
