"""The pods of a stack, put together from what it renders to, and what may pass between them.

What a controller adds to an object stands here as that controller writes it: KServe 0.20 (the label `app`), Envoy Gateway 1.9
(labels and account of proxies), the Prometheus operator (the label of its name).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from ops.render import is_patch
from tests.zero_trust.mesh import Mesh, Workload
from tests.zero_trust.network import Endpoint, Network

Object = Mapping[str, Any]
RELEASE = "kubernetes:helm.sh/v3:Release"
OPEN, MESH, NETWORK = "open", "closed by the mesh", "closed by the network"


@dataclass(frozen=True)
class World:
    """Pods by kind, and the rules about them."""

    pods: Mapping[str, Workload]
    network: Network
    mesh: Mesh

    def passes(self, source: Endpoint, target: Workload, port: int, protocol: str = "TCP") -> str:
        """Say whether a connection to a pod's own port comes about, or what closes it."""
        wire = self.mesh.wire_port(source, target, port) if protocol == "TCP" else port
        if not self.network.lets_through(source, target, wire, protocol):
            return NETWORK
        return OPEN if source.node or self.mesh.lets_through(source, target, port) else MESH

    def leaves(self, source: Workload, ip: str, port: int, protocol: str = "TCP") -> bool:
        """Tell whether a connection to an address outside of the cluster comes about."""
        return self.network.lets_through(source, Endpoint(ip=ip), port, protocol)


def world(resources: Iterable[Object]) -> World:
    """Put a stack's pods and rules together, from the nodes of its graph."""
    nodes = list(resources)
    objects: list[Object] = [
        node["inputs"] for node in nodes if "kind" in node["inputs"] and not is_patch(node)
    ]
    releases = [node["inputs"] for node in nodes if node["type"] == RELEASE]
    addresses = (f"10.40.{number // 200}.{number % 200 + 10}" for number in count())
    found = [*_own_pods(objects, addresses), *_chart_pods(releases, addresses)]
    return World(pods=dict(found), network=Network(objects), mesh=Mesh(objects))


def _own_pods(objects: list[Object], addresses: Iterator[str]) -> Iterator[tuple[str, Workload]]:
    annotations = tuple(
        key
        for each in objects
        if each["kind"] == "EnvoyProxy"
        for key in each["spec"]["provider"]["kubernetes"]["envoyDeployment"]["pod"]["annotations"]
    )
    for each in objects:
        metadata, kind = each["metadata"], each["kind"]
        name, space = metadata["name"], metadata.get("namespace", "")
        match kind:
            case "InferenceService":
                labels = {**metadata["labels"], "app": f"isvc.{name}-predictor", "component": "predictor"}
                account = each["spec"]["predictor"]["serviceAccountName"]
            case "Gateway":
                labels = {
                    "app.kubernetes.io/name": "envoy",
                    "app.kubernetes.io/component": "proxy",
                    "app.kubernetes.io/managed-by": "envoy-gateway",
                    "gateway.envoyproxy.io/owning-gateway-name": name,
                    "gateway.envoyproxy.io/owning-gateway-namespace": space,
                    "gateway.networking.k8s.io/gateway-name": name,
                }
                account = name
            case "Job" | "DaemonSet" | "Deployment":
                template = each["spec"]["template"]
                labels = template["metadata"]["labels"]
                account = template["spec"].get("serviceAccountName", "default")
            case _:
                continue
        pod = Workload(
            ip=next(addresses),
            namespace=space,
            labels=labels,
            account=account,
            annotations=annotations if kind == "Gateway" else (),
        )
        yield (f"{kind} {name}", pod)


def _chart_pods(releases: list[Object], addresses: Iterator[str]) -> Iterator[tuple[str, Workload]]:
    """Return one pod a release, and those of Prometheus beside its operator's."""
    for release in releases:
        name, values = release["name"], release.get("values", {})
        both = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name}
        labels = {**both, **values.get("podLabels", {})}
        account = values.get("serviceAccount", {}).get("name", name)
        if name == "envoy-gateway":
            labels["control-plane"] = "envoy-gateway"
        annotations = tuple(values.get("podAnnotations", {}))
        yield (
            name,
            Workload(
                ip=next(addresses),
                namespace=release["namespace"],
                labels=labels,
                account=account,
                annotations=annotations,
            ),
        )
        if name == "prometheus":
            own = values["prometheus"]
            spec = own["prometheusSpec"]
            labels = {"app.kubernetes.io/name": "prometheus", **spec["podMetadata"]["labels"]}
            server = Workload(
                ip=next(addresses),
                namespace=release["namespace"],
                labels=labels,
                account=own["serviceAccount"]["name"],
            )
            yield ("prometheus server", server)


def anybody(namespace: str, account: str = "default", **labels: str) -> Workload:
    """Return a pod that no stack has."""
    return Workload(ip="10.40.31.250", namespace=namespace, labels=labels, account=account)


def dns() -> Workload:
    """Return a pod of the cluster's name server."""
    return Workload(ip="10.40.30.1", namespace="kube-system", labels={"k8s-app": "kube-dns"})
