"""How a pod comes into Istio's ambient mesh (1.30), and what is known of it there."""

from collections.abc import Mapping
from typing import Final

MESHED: Final[Mapping[str, str]] = {"istio.io/dataplane-mode": "ambient"}
"""Label of a namespace, or of pods in one that is not in the mesh as a whole."""
PLAIN_INBOUND: Final[Mapping[str, str]] = {"ambient.istio.io/bypass-inbound-capture": "true"}
"""Annotation of pods of the mesh that also take plain connections from outside. What comes through the mesh's own port is
still checked."""
MESH_PORT: Final = 15008
"""Where every connection of the mesh arrives (HBONE), whatever port it is for: network policies see no other."""
PROBES: Final = "169.254.7.127/32"
"""From where a kubelet's probes reach a pod of the mesh: the agent on its node rewrites them, to know them from other traffic."""
TRUST_DOMAIN: Final = "cluster.local"
"""In a policy Istio takes it for the mesh's own, whatever that is called."""


def mesh_label(*, meshed: bool) -> dict[str, str]:
    """Return the labels that bring what bears them into the mesh, none where there is no mesh."""
    return dict(MESHED) if meshed else {}


def principal(namespace: str, account: str) -> str:
    """Return who pods with a service account are in the mesh."""
    return f"{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
