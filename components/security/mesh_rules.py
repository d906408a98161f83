"""Rules of the mesh: connections are mutual TLS, and who may call whom is said by identities that no pod can make up.

Owns: PeerAuthentications and AuthorizationPolicies, none with a field of HTTP: the node's proxy (ztunnel) knows connections only,
and takes a rule with such a field for one that admits nobody. Does not own: the mesh, who is in it, and the openings.

The whole mesh is STRICT where this program installs it. One that exists may have other tenants, so there only the models'
namespace is: what others do is theirs to decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.prometheus import WEB_PORT
from components.api_gateway import GATEWAY
from components.mesh import principal
from components.node_agents import MESH_NAMESPACE
from components.security.openings import Opening, Openings
from components.security.parties import Party

API_VERSION: Final = "security.istio.io/v1"
STRICT: Final = {"mode": "STRICT"}
ACCESS: Final = "vllm-access"
"""With a model's name behind it: who may reach the model."""


@dataclass(frozen=True, kw_only=True)
class MeshRulesArgs:
    """`namespace` of the models. openings: of the stack. after: Istio's kinds, and who checks their objects.

    whole_mesh: the mesh is this program's own. prometheus: this program's own one, which others ask from outside of the mesh.
    prometheus_after: what makes its namespace.
    """

    namespace: pulumi.Input[str]
    openings: Openings
    after: Sequence[pulumi.Resource] = ()
    whole_mesh: bool
    prometheus: Party | None = None
    prometheus_after: Sequence[pulumi.Resource] = ()


class MeshRules(pulumi.ComponentResource):
    """Makes them. `closed`: what is there once they are in force."""

    closed: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: MeshRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:security:MeshRules", name, {}, opts)
        self._name, self._args = name, args
        self.closed = [
            *self._peers(),
            self._make("closed", "AuthorizationPolicy", "default-deny", args.namespace, {}),
            *(
                self._make(
                    f"{party.name}-access", "AuthorizationPolicy", access_name(party), args.namespace, spec
                )
                for party in args.openings.guarded
                if (spec := access_spec(party, args.openings.rows)) is not None
            ),
        ]
        if args.prometheus is not None:
            # It opens, so nobody waits for it, nor anything else for Prometheus.
            party = args.prometheus
            self._make(
                "prometheus",
                "PeerAuthentication",
                party.name,
                party.namespace,
                asked_plainly(party),
                after=args.prometheus_after,
            )
        self.register_outputs({"rules": len(self.closed)})

    def _peers(self) -> list[CustomResource]:
        args = self._args
        found = [self._make("models", "PeerAuthentication", "default", args.namespace, {"mtls": STRICT})]
        if args.whole_mesh:
            mesh = self._make("mesh", "PeerAuthentication", "default", MESH_NAMESPACE, {"mtls": STRICT})
            found.append(mesh)
        return found

    def _make(
        self,
        role: str,
        kind: str,
        name: str,
        namespace: pulumi.Input[str],
        spec: dict[str, Any],
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> CustomResource:
        return CustomResource(
            f"{self._name}-{role}",
            api_version=API_VERSION,
            kind=kind,
            metadata=ObjectMetaArgs(
                name=name, namespace=namespace, labels={"app.kubernetes.io/part-of": "vllm-platform"}
            ),
            spec=spec,
            # The kinds, the webhook that checks their objects, and the namespace of whoever is not the models'.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after, *after]),
        )


def access_name(party: Party) -> str:
    """Name the policy of who may reach a party."""
    return f"{GATEWAY}-access" if party.name == GATEWAY else f"{ACCESS}-{party.name}"


def access_spec(party: Party, rows: Iterable[Opening]) -> dict[str, Any] | None:
    """Return who may reach a party through the mesh; None where nobody may, which the closed namespace says already."""
    rules = [_rule(row.source, row) for row in rows if row.target == party and isinstance(row.source, Party)]
    if not rules:
        return None
    return {"selector": {"matchLabels": dict(party.labels)}, "action": "ALLOW", "rules": rules}


def asked_plainly(party: Party) -> dict[str, Any]:
    """Return how Prometheus is asked: on its own port also from outside of the mesh, as KEDA and Prometheus Adapter do.

    They are called by the API server, which is in no mesh, and so are not in it either.
    """
    return {
        "selector": {"matchLabels": dict(party.labels)},
        "mtls": STRICT,
        "portLevelMtls": {str(WEB_PORT): {"mode": "PERMISSIVE"}},
    }


def _rule(source: Party, row: Opening) -> dict[str, Any]:
    who = (
        {"namespaces": [source.namespace]}
        if not source.accounts
        else {"principals": [principal(source.namespace, account) for account in source.accounts]}
    )
    return {
        "from": [{"source": who}],
        "to": [{"operation": {"ports": [str(port.number) for port in row.ports]}}],
    }
