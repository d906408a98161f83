"""Who reaches whom in an ambient mesh: PeerAuthentication and AuthorizationPolicy (security.istio.io/v1) as ztunnel acts on them.

From Istio's documentation, read from the objects alone. Nothing of the components is used here. A field that this does not
know is an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.zero_trust.network import Endpoint
from tests.zero_trust.selectors import selects

Object = Mapping[str, Any]
ROOT = "istio-system"
TUNNEL_PORT = 15008
PROBES = "169.254.7.127"
# Of a connection there is nothing else to know. With a field of HTTP in it a rule that allows matches nothing.
OF_CONNECTIONS = {"principals", "notPrincipals", "namespaces", "notNamespaces", "ipBlocks", "notIpBlocks"}


@dataclass(frozen=True, kw_only=True)
class Workload(Endpoint):
    """A pod, with the account that it runs under, and its annotations."""

    account: str = "default"
    annotations: tuple[str, ...] = ()


class Mesh:
    """The rules of a mesh."""

    def __init__(self, objects: Iterable[Object]) -> None:
        objects = list(objects)
        self._peers = [each for each in objects if each["kind"] == "PeerAuthentication"]
        self._rules = [each for each in objects if each["kind"] == "AuthorizationPolicy"]
        self._meshed = {
            each["metadata"]["name"]
            for each in objects
            if each["kind"] == "Namespace"
            and each["metadata"].get("labels", {}).get("istio.io/dataplane-mode") == "ambient"
        }

    def has(self, pod: Endpoint) -> bool:
        """Tell whether a pod is in the mesh: by its own label, or by its namespace's."""
        own = pod.labels.get("istio.io/dataplane-mode")
        return own == "ambient" or (own != "none" and pod.namespace in self._meshed)

    def wire_port(self, source: Endpoint, target: Endpoint, port: int) -> int:
        """Return the port that the network sees."""
        return TUNNEL_PORT if self.has(source) and self.has(target) else port

    def lets_through(self, source: Endpoint, target: Workload, port: int) -> bool:
        """Tell whether the target's side takes a connection to one of the pod's own ports."""
        if not self.has(target):
            return True
        tunnelled = self.has(source)
        if not tunnelled:
            if source.ip == PROBES or "ambient.istio.io/bypass-inbound-capture" in target.annotations:
                return True
            if self.mode(target, port) == "STRICT":
                return False
        caller = source if tunnelled and isinstance(source, Workload) else None
        return self._authorized(caller, target, port)

    def mode(self, target: Endpoint, port: int) -> str:
        """Return the mode of a port: the pod's own, else its namespace's, else the mesh's."""
        found = "UNSET"
        for policy in self._about(target):
            spec = policy["spec"]
            assert set(spec) <= {"selector", "mtls", "portLevelMtls"}, spec
            own = spec.get("portLevelMtls", {}).get(str(port), {}).get("mode", "UNSET")
            if own == "UNSET":
                own = spec.get("mtls", {}).get("mode", "UNSET")
            if own != "UNSET":
                found = own
                break
        return "PERMISSIVE" if found == "UNSET" else found

    def _about(self, target: Endpoint) -> list[Object]:
        """Return the PeerAuthentications about a pod, the narrowest first."""

        def of(namespace: str | None, *, narrow: bool) -> list[Object]:
            return [
                each
                for each in self._peers
                if each["metadata"]["namespace"] == namespace
                and ("selector" in each["spec"]) == narrow
                and selects(each["spec"].get("selector", {}), target.labels)
            ]

        return [
            *of(target.namespace, narrow=True),
            *of(target.namespace, narrow=False),
            *of(ROOT, narrow=False),
        ]

    def _authorized(self, caller: Workload | None, target: Workload, port: int) -> bool:
        about = [
            each["spec"]
            for each in self._rules
            if each["metadata"]["namespace"] in {target.namespace, ROOT}
            and selects(each["spec"].get("selector", {}), target.labels)
        ]

        def matching(action: str) -> list[bool]:
            specs = [spec for spec in about if spec.get("action", "ALLOW") == action]
            return [
                any(_matches(rule, caller, port) for rule in spec.get("rules", []))
                for spec in specs
                if set(spec) <= {"selector", "action", "rules"} or _unknown(spec)
            ]

        if any(matching("DENY")):
            return False
        allowing = matching("ALLOW")
        return not allowing or any(allowing)


def _unknown(spec: Object) -> bool:
    raise AssertionError(spec)


def _matches(rule: Object, caller: Workload | None, port: int) -> bool:
    assert set(rule) <= {"from", "to"}, rule
    sources = [each["source"] for each in rule.get("from", [])]
    operations = [each["operation"] for each in rule.get("to", [])]
    if any(set(source) - OF_CONNECTIONS for source in sources):
        return False
    if any(set(operation) - {"ports", "notPorts"} for operation in operations):
        return False
    return (not sources or any(_is_source(each, caller) for each in sources)) and (
        not operations or any(_is_operation(each, port) for each in operations)
    )


def _is_source(source: Object, caller: Workload | None) -> bool:
    assert set(source) <= {"principals", "namespaces"}, source
    if caller is None:
        # Nobody in particular: no name matches.
        return not source
    name = f"cluster.local/ns/{caller.namespace}/sa/{caller.account}"
    found = {"principals": name, "namespaces": caller.namespace or ""}
    return all(any(fnmatchcase(found[key], each) for each in source[key]) for key in source)


def _is_operation(operation: Object, port: int) -> bool:
    if str(port) in operation.get("notPorts", []):
        return False
    return "ports" not in operation or str(port) in operation["ports"]
