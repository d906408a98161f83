"""The data plane of a rehearsal: pods of the gateway and of the models run for real, in networks of their own."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from components.addons.envoy_gateway import CLASS_API
from components.api_gateway import GATEWAY, GATEWAY_PORT
from components.engine_args import METRICS_PORT
from rehearsal.cluster.api import Object, has_condition, wait_until
from rehearsal.cluster.control_plane import API_SERVICE_ADDRESS
from rehearsal.cluster.nodes import node_objects, reconcile_nodes
from rehearsal.cluster.processes import log_tail
from rehearsal.update import Stack
from settings import Settings, build
from settings.addon_namespaces import ADDON_NAMESPACES
from tests.gateway.container import Mount
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.images import Images
from tests.gateway.kubelet import Kubelet
from tests.gateway.network import prepare_node
from tests.gateway.pod import Machine, Pod
from tests.gateway.proxies import backend_weights
from tests.gateway.services import DISCOVERY, Services
from tests.gateway.volumes import PodApi
from tests.rehearsal.bare import Bare, bare_cluster
from tests.rehearsal.conftest import tools

MODELS: Final = "llm-prod"
"""The namespace of the models and of the gateway."""
CONTROLLERS: Final = ADDON_NAMESPACES["envoy-gateway"]
OWN_PATH: Final = "/of-the-test"
"""Below it the tests' own routes are: the program has routes for all that clients know."""
SECONDS: Final = 120.0
"""Until something is there that takes seconds on an idle machine."""
_GATEWAY_LABEL: Final = "gateway.envoyproxy.io/owning-gateway-name"


@dataclass
class DataPlane:
    """A cluster whose gateway and models answer. `folder` holds logs, one folder a pod.

    processes: where Services lead that have a process of the node behind them instead of pods, by name.
    """

    cluster: Bare
    api: PodApi
    folder: Path
    kubelet: Kubelet
    processes: dict[str, tuple[str, int]]
    behaviours: list[tuple[Mapping[str, str], Behaviour]] = field(
        default_factory=list[tuple[Mapping[str, str], Behaviour]]
    )

    def settings(self, name: str, sections: Mapping[str, Any]) -> Settings:
        """Return the settings of a stack with these sections."""
        config = self.cluster.config(**sections)
        return build(name, {key.removeprefix("vllm-platform:"): value for key, value in config.items()})

    def stack(self, name: str, sections: Mapping[str, Any]) -> Stack:
        """Return a stack of the project's own program, with these sections of settings. Its pools get their nodes."""
        settings = self.settings(name, sections)
        reconcile_nodes(self.api, node_objects(settings, self.api.version()))
        return self.cluster.stack(name, self.cluster.config(**sections))

    def pods(self, labels: Mapping[str, str]) -> list[Pod]:
        """Return the pods that run with these labels, those among them that are about to end too."""
        return self.kubelet.pods(labels)

    def streams(self, labels: Mapping[str, str]) -> float:
        """Return how many requests the engines with these labels work at, by their own metrics."""
        urls = [f"http://{pod.address}:{METRICS_PORT}/metrics" for pod in self.kubelet.pods(labels)]
        texts = [httpx.get(url, trust_env=False, timeout=SECONDS).text for url in urls]
        return sum(
            float(line.rpartition(" ")[2])
            for text in texts
            for line in text.splitlines()
            if line.startswith("vllm:num_requests_running{")
        )

    def behave(self, behaviour: Behaviour, labels: Mapping[str, str]) -> None:
        """Make the engines with these labels behave so, those that are there and those that will come."""
        self.behaviours.append((labels, behaviour))
        for pod in self.kubelet.pods(labels):
            behaviour.write(pod.folder)

    def gateway_urls(self, gateway: str = GATEWAY, port: int = GATEWAY_PORT) -> list[str]:
        """Return the address of each of a gateway's ready proxies, as a load balancer that knows pods has them."""
        found = self.api.list("v1", "Pod", MODELS, labels=f"{_GATEWAY_LABEL}={gateway}")
        live = [
            pod for pod in found if has_condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]
        ]
        return [f"http://{pod['status']['podIP']}:{port}" for pod in live]

    def route_urls(self) -> list[str]:
        """Return where the tests' own routes are, at each of the gateway's ready proxies."""
        return [f"{url}{OWN_PATH}" for url in self.gateway_urls()]

    def model_urls(self, model: str) -> list[str]:
        """Return where the program's own route has a model, at each of the gateway's ready proxies."""
        return [f"{url}/{model}" for url in self.gateway_urls()]

    def until(self, what: str, condition: Callable[[], object], seconds: float = SECONDS) -> None:
        """Wait for it. Fails with the logs of the gateway's controller."""
        if wait_until(lambda: bool(condition()), seconds=seconds):
            return
        logs = [f"{log}:\n{log_tail(log)}" for log in sorted(self.folder.glob("*/*.log"))]
        raise AssertionError("\n".join([f"{what}: not after {seconds:g} s", *logs]))

    def programmed(self, gateway: str = GATEWAY) -> Object:
        """Return the gateway once it is in place, with a proxy that answers."""
        found: list[Object] = []

        def there() -> bool:
            found[:] = [self.api.get(CLASS_API, "Gateway", gateway, MODELS) or {}]
            return has_condition(found[0], "Programmed") and bool(self.gateway_urls(gateway))

        self.until(f"gateway {gateway} is programmed", there)
        return found[0]

    def proxies(self, gateway: str = GATEWAY) -> list[Pod]:
        """Return the gateway's pods that run."""
        return self.kubelet.pods({_GATEWAY_LABEL: gateway})

    def route(self, name: str, weights: Mapping[str, int], gateway: str = GATEWAY) -> None:
        """Send what comes to `route_urls` to these Services by weight. Each must have endpoints, unless its weight is 0."""
        backends = [{"name": service, "port": 80, "weight": weight} for service, weight in weights.items()]
        self.api.apply(route(name, gateway, backends))
        self.routed(name, list(weights.values()))

    def lead(self, service: str, namespace: str, port: int, process: tuple[str, int]) -> None:
        """Have a Service lead to a process of the node. Envoy knows endpoints alone: the Service's own address is its one."""
        if self.api.get("v1", "Namespace", namespace) is None:
            self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        meta = {"name": service, "namespace": namespace}
        ports = [{"name": "to-a-process", "port": port, "protocol": "TCP"}]
        made = self.api.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}
        )
        self.processes[service] = process
        labels = {"kubernetes.io/service-name": service}
        endpoint = {"addresses": [made["spec"]["clusterIP"]], "conditions": {"ready": True}}
        self.api.apply(
            {
                "apiVersion": DISCOVERY,
                "kind": "EndpointSlice",
                "metadata": {**meta, "labels": labels},
                "addressType": "IPv4",
                "endpoints": [endpoint],
                "ports": ports,
            }
        )

    def routed(self, name: str, weights: Sequence[int]) -> None:
        """Wait until each proxy has these weights for the backends of a route, in their order."""
        wanted = {place: weight for place, weight in enumerate(weights) if weight}
        self.until(
            f"every proxy has the weights {list(weights)} of route {name}",
            lambda: all(backend_weights(proxy, name) == wanted for proxy in self.proxies()),
        )


def route(name: str, gateway: str, backends: Sequence[Mapping[str, Any]]) -> Object:
    """Return a route of everything below a path that is the tests' own. No limit of time: a stream lasts as long as it lasts."""
    path = {"type": "PathPrefix", "value": OWN_PATH}
    without = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
    return {
        "apiVersion": CLASS_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": MODELS},
        "spec": {
            "parentRefs": [{"name": gateway}],
            "rules": [
                {
                    "matches": [{"path": path}],
                    "filters": [{"type": "URLRewrite", "urlRewrite": without}],
                    "backendRefs": list(backends),
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }


@contextlib.contextmanager
def data_plane(folder: Path) -> Generator[DataPlane]:
    """Start a cluster whose nodes run the pods of the gateway and of the models. Nothing is deployed yet."""
    prepare_node()
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(
            bare_cluster(folder, with_kserve=True, run_elsewhere=(CONTROLLERS, MODELS))
        )
        server = (cluster.layout.root / "server").read_text().strip()
        pki = cluster.layout.pki
        api = stack.enter_context(
            PodApi(server, ca=pki / "ca.crt", cert=pki / "admin.crt", key=pki / "admin.key")
        )
        hosts, resolver = folder / "hosts", folder / "resolv.conf"
        # Nothing answers there, so that a name that is not in the file is told so at once.
        resolver.write_text("nameserver 127.0.0.1\n")
        address = urlsplit(server)
        assert address.hostname is not None
        assert address.port is not None
        processes = {"kubernetes": (address.hostname, address.port)}
        services = Services(api, hosts, processes, CONTROLLERS)
        stack.callback(services.stop)
        machine = Machine(
            api=api,
            images=Images(tools()),
            folder=folder / "pods",
            mounts=[
                Mount(source=hosts, target="/etc/hosts"),
                Mount(source=resolver, target="/etc/resolv.conf"),
            ],
            environment={"KUBERNETES_SERVICE_HOST": API_SERVICE_ADDRESS, "KUBERNETES_SERVICE_PORT": "443"},
        )
        behaviours: list[tuple[Mapping[str, str], Behaviour]] = []

        def prepare(pod: Pod) -> None:
            for labels, behaviour in behaviours:
                if labels.items() <= pod.labels.items():
                    behaviour.write(pod.folder)

        kubelet = Kubelet(machine, (CONTROLLERS, MODELS), prepare)
        stack.callback(kubelet.stop)
        yield DataPlane(
            cluster=cluster,
            api=api,
            folder=machine.folder,
            kubelet=kubelet,
            processes=processes,
            behaviours=behaviours,
        )
