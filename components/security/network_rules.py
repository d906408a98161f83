"""Network policies: every pod of the models' namespace is closed in both directions, and what the stack needs is opened.

Owns: a policy that closes the namespace, and one for each party with its openings. Does not own: the openings, and who enforces
them: the cluster's network plugin, which on EKS is told to (`aws/eks_addons.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.mesh import MESH_PORT
from components.security.openings import Opening, Openings
from components.security.parties import Party, Port, Side

if TYPE_CHECKING:
    from pulumi_kubernetes.networking.v1 import NetworkPolicySpecArgsDict

CLOSED: Final = "default-deny"
BOTH: Final = ("Ingress", "Egress")
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class NetworkRulesArgs:
    """`namespace` of the models, known once it is there. openings: of the stack."""

    namespace: pulumi.Input[str]
    openings: Openings


class NetworkRules(pulumi.ComponentResource):
    """Makes them. `closed`: what is there once the namespace and all in it are closed."""

    closed: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: NetworkRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:security:NetworkRules", name, {}, opts)
        specs = {CLOSED: closed_spec()} | {
            f"{party.name}-network": party_spec(party, args.openings.rows) for party in args.openings.guarded
        }
        self.closed = [
            NetworkPolicy(
                f"{name}-{each}",
                metadata=ObjectMetaArgs(
                    name=each,
                    namespace=args.namespace,
                    labels={"app.kubernetes.io/part-of": "vllm-platform"},
                ),
                # Spelt as the API does: the SDK takes that as well.
                spec=cast("NetworkPolicySpecArgsDict", spec),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for each, spec in specs.items()
        ]
        self.register_outputs({"policies": sorted(specs)})


def closed_spec() -> dict[str, Any]:
    """Return the spec that closes every pod of a namespace in both directions."""
    return {"podSelector": {}, "policyTypes": list(BOTH)}


def party_spec(party: Party, rows: Iterable[Opening]) -> dict[str, Any]:
    """Return the spec with the openings of one party. Without any it says that the party is closed."""
    rows = list(rows)
    incoming = [_rule("from", row.source, ports_of(row)) for row in rows if row.target == party]
    outgoing = [_rule("to", row.target, ports_of(row)) for row in rows if row.source == party]
    return {
        "podSelector": {"matchLabels": dict(party.labels)},
        "policyTypes": list(BOTH),
        **({"ingress": incoming} if incoming else {}),
        **({"egress": outgoing} if outgoing else {}),
    }


def ports_of(row: Opening) -> tuple[Port, ...]:
    """Return where a connection arrives as the network sees it: between pods of the mesh on the mesh's own port."""
    ways = [_meshed(row.source), _meshed(row.target)]
    through_the_mesh = Port(number=MESH_PORT)
    if all(ways):
        return (through_the_mesh,)
    if None in ways and False not in ways and row.ports:
        return (*row.ports, through_the_mesh)
    return row.ports


def _meshed(side: Side) -> bool | None:
    return side.meshed if isinstance(side, Party) else False


def _rule(direction: str, side: Side, ports: tuple[Port, ...]) -> dict[str, Any]:
    rule: dict[str, Any] = {direction: _peers(side)}
    if ports:
        rule["ports"] = [{"protocol": port.protocol, "port": port.number} for port in ports]
    return rule


def _peers(side: Side) -> list[dict[str, Any]]:
    if isinstance(side, Party):
        namespace = {"matchLabels": {NAMESPACE_NAME: side.namespace}}
        pods = {"podSelector": {"matchLabels": dict(side.labels)}} if side.labels else {}
        return [{"namespaceSelector": namespace, **pods}]
    without = {"except": list(side.without)} if side.without else {}
    return [{"ipBlock": {"cidr": block, **without}} for block in side.blocks]
