"""Who reaches whom under NetworkPolicies: networking.k8s.io/v1 as it is documented, read from the objects alone.

Nothing of the components is used here. A field that this does not know is an error, so that none is passed over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.zero_trust.selectors import selects

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A pod, or with no namespace something outside of the cluster. node: the kubelet of the target's own node."""

    ip: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    node: bool = False


class Network:
    """The policies of a cluster."""

    def __init__(self, objects: Iterable[Object]) -> None:
        objects = list(objects)
        self._policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
        self._namespaces = {
            each["metadata"]["name"]: each["metadata"].get("labels", {})
            for each in objects
            if each["kind"] == "Namespace"
        }

    def lets_through(self, source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP") -> bool:
        """Tell whether a connection comes about: its source may open it, and its target may take it."""
        if source.node:
            return True
        return self._allowed("Egress", source, target, port, protocol) and self._allowed(
            "Ingress", target, source, port, protocol
        )

    def _allowed(self, direction: str, own: Endpoint, other: Endpoint, port: int, protocol: str) -> bool:
        if own.namespace is None:
            return True
        about = [
            policy["spec"]
            for policy in self._policies
            if policy["metadata"]["namespace"] == own.namespace
            and selects(policy["spec"]["podSelector"], own.labels)
            and direction in _directions(policy["spec"])
        ]
        key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        rules = [rule for spec in about for rule in spec.get(key, [])]
        assert all(set(rule) <= {peers, "ports"} for rule in rules), rules
        return not about or any(
            _is_any_port(rule.get("ports", []), port, protocol)
            and (not rule.get(peers) or any(self._is_peer(each, own, other) for each in rule[peers]))
            for rule in rules
        )

    def _is_peer(self, peer: Object, own: Endpoint, other: Endpoint) -> bool:
        if "ipBlock" in peer:
            assert set(peer) == {"ipBlock"}
            block = peer["ipBlock"]
            address = ip_address(other.ip)
            inside = address in ip_network(block["cidr"])
            return inside and not any(address in ip_network(each) for each in block.get("except", []))
        assert set(peer) <= {"namespaceSelector", "podSelector"}, peer
        if other.namespace is None:
            return False
        if "namespaceSelector" in peer:
            labels = {
                **self._namespaces.get(other.namespace, {}),
                "kubernetes.io/metadata.name": other.namespace,
            }
            if not selects(peer["namespaceSelector"], labels):
                return False
        elif other.namespace != own.namespace:
            return False
        return selects(peer.get("podSelector", {}), other.labels)


def _directions(spec: Object) -> list[str]:
    """Return what a policy is about; where it does not say, Ingress, and Egress where it has such rules."""
    assert set(spec) <= {"podSelector", "policyTypes", "ingress", "egress"}, spec
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]


def _is_any_port(entries: list[Object], port: int, protocol: str) -> bool:
    return not entries or any(_is_port(each, port, protocol) for each in entries)


def _is_port(entry: Object, port: int, protocol: str) -> bool:
    assert set(entry) <= {"port", "endPort", "protocol"}, entry
    if entry.get("protocol", "TCP") != protocol:
        return False
    if "port" not in entry:
        return True
    assert isinstance(entry["port"], int), "no port here has a name"
    return entry["port"] <= port <= entry.get("endPort", entry["port"])
