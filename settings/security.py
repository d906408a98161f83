"""Who may talk to whom inside the cluster: the mesh, the network, and what a pod among the models may be."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section
from settings.network import Ipv4Block
from settings.scalars import ClaimName, Namespace

PodLevel = Literal["restricted", "baseline"]


class AmbientMesh(Section):
    """Istio in ambient mode: every connection between pods of the mesh is mutual TLS (STRICT), and identities are checked."""

    kind: Literal["ambient"]


class NoMesh(Section):
    """Plain connections; whoever the network lets through may call."""

    kind: Literal["off"]


Mesh = Annotated[AmbientMesh | NoMesh, Field(discriminator="kind")]


class NamespaceCaller(Section):
    """All pods of another namespace."""

    kind: Literal["namespace"]
    name: Namespace


class AddressCaller(Section):
    """Whoever has an address of a block: a load balancer, or machines outside of the cluster."""

    kind: Literal["addresses"]
    block: Ipv4Block


Caller = Annotated[NamespaceCaller | AddressCaller, Field(discriminator="kind")]


class DefaultDeny(Section):
    """Nothing passes but what the rest of the stack needs. callers: of the gateway, or of the models where there is none.

    The load balancer of an edge need not be named.
    """

    kind: Literal["default-deny"]
    callers: tuple[Caller, ...] = ()


class OpenNetwork(Section):
    """Every pod may talk to every other."""

    kind: Literal["open"]


NetworkRules = Annotated[DefaultDeny | OpenNetwork, Field(discriminator="kind")]


class Account(Section):
    """A service account, by which pods are known in the mesh."""

    namespace: Namespace
    account: ClaimName


class Security(Section):
    """mesh: None is ambient where the stack has Istio, and off where it has none.

    prometheus: who a Prometheus that exists is; None is what the program's own would be.
    pods: level that pods in the models' namespace must keep; what is below `restricted` is said in audit log and warnings anyway.
    """

    mesh: Mesh | None = None
    network: NetworkRules = DefaultDeny(kind="default-deny")
    prometheus: Account | None = None
    pods: PodLevel = "restricted"

    @property
    def rules(self) -> DefaultDeny | None:
        """What is let through, or None where everything is."""
        return self.network if isinstance(self.network, DefaultDeny) else None

    def meshed(self, *, istio: bool) -> bool:
        """Tell whether the models are in the mesh. istio: the stack has it, whoever installed it."""
        return istio if self.mesh is None else isinstance(self.mesh, AmbientMesh)
