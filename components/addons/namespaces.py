"""The namespaces of add-ons.

Owns: each namespace and its pod security level. Does not own: what runs in it, and kube-system.
"""

from dataclasses import dataclass
from typing import Final, Literal

import pulumi
from pulumi_kubernetes.core.v1 import Namespace

from components.model_namespace import POD_SECURITY_VERSION
from components.node_agents import MESH_NAMESPACE, MONITORING_NAMESPACE

Level = Literal["privileged", "baseline", "restricted"]

AGENTS: Final = frozenset({MESH_NAMESPACE, MONITORING_NAMESPACE})
"""Where agents of nodes run: they read the host's files and network, which no lower level allows."""


@dataclass(frozen=True, kw_only=True)
class AddonNamespaceArgs:
    """`name` of the namespace."""

    name: str


class AddonNamespace(pulumi.ComponentResource):
    """Makes the namespace. `name` is known once it exists, so what uses it waits for it."""

    name: pulumi.Output[str]

    def __init__(
        self, name: str, args: AddonNamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:AddonNamespace", name, {}, opts)
        namespace = Namespace(
            f"{name}-namespace",
            metadata={"name": args.name, "labels": namespace_labels(args.name)},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = namespace.metadata.name
        self.register_outputs({"name": self.name})


def namespace_labels(name: str) -> dict[str, str]:
    """Return the labels: what is refused there, and what the audit log says of what is not.

    baseline and not restricted: the pods come from charts, and a new version that is a little less strict must not stop
    an upgrade halfway. What would not pass `restricted` is in the audit log and in the warnings.
    """
    enforced: Level = "privileged" if name in AGENTS else "baseline"
    levels: dict[str, Level] = {"enforce": enforced, "audit": "restricted", "warn": "restricted"}
    labels = {"app.kubernetes.io/part-of": "vllm-platform"}
    for mode, level in levels.items():
        labels[f"pod-security.kubernetes.io/{mode}"] = level
        labels[f"pod-security.kubernetes.io/{mode}-version"] = POD_SECURITY_VERSION
    return labels
