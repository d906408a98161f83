"""A rehearsed stack of one model that KEDA scales: its load, its replicas, and the pool that it fills but for the surge."""

import contextlib
import copy
from collections.abc import Generator, Mapping
from threading import Thread
from typing import Any, Final, cast

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, Object, wait_until
from rehearsal.cluster.nodes import ZONE_LABEL
from settings.pools import POOL_LABEL
from tests.rehearsal.conftest import Checkout
from tests.rehearsal.signal_server import SignalServer
from tests.rehearsal.watching import Watcher

NAME: Final = "qwen-7b-vllm"
DEPLOYMENT: Final = f"{NAME}-predictor"
NAMESPACE: Final = "llm-prod"
KEDA_API: Final = "keda.sh/v1alpha1"
# KEDA and the autoscaler look every few seconds; a loaded machine is slower.
SECONDS: Final = 120.0
SCALER: Final[dict[str, Any]] = {
    "kind": "keda",
    "min": 1,
    "max": 4,
    "signals": ["running", "waiting", "kv-cache"],
    "targets": {"waiting": 4},
    "fallback": {"failures": 1, "replicas": 3},
    "speed": {
        "up_window_seconds": 0,
        "up_replicas": 4,
        "up_period_seconds": 5,
        "down_window_seconds": 5,
        "down_replicas": 1,
        "down_period_seconds": 5,
    },
}


class Scaled:
    """A stack `local` of one model that KEDA scales, and who says how loaded it is."""

    def __init__(self, checkout: Checkout, server: SignalServer) -> None:
        self.checkout, self.server = checkout, server
        models = cast("list[dict[str, Any]]", checkout.section("local", "models"))
        (self._model,) = [model for model in models if model["name"] == NAME]
        self._deployed: dict[str, Any] = {}
        checkout.change(
            "local",
            "addons",
            {
                "keda": "existing",
                "prometheus": "existing",
                "envoy_gateway": "existing",
                "gateway_api": "existing",
            },
        )
        checkout.change("local", "observability", {"prometheus_url": server.url})

    def deploy(self, scaler: dict[str, Any] = SCALER, **changes: Any) -> str:  # noqa: ANN401
        """Run `vp rehearse local` with the model changed: what `pulumi up` does, and the wait for every model."""
        self._deployed = copy.deepcopy(self._model) | {"autoscaling": scaler} | changes
        self.checkout.change("local", "models", [self._deployed])
        return self.checkout.vp("rehearse", "local")

    def begin(self, api: Api) -> None:
        """Come back to where a test begins: the model as it is, without a load, and its one replica."""
        self.load()
        if not self.is_as_it_begins():
            self.deploy()
        self.settle(api, 1)

    def is_as_it_begins(self) -> bool:
        """Tell whether the model is deployed as its stack has it."""
        return self._deployed == copy.deepcopy(self._model) | {"autoscaling": SCALER}

    def part(self, key: str) -> dict[str, Any]:
        """Return a part of the model, as its stack has it."""
        return copy.deepcopy(self._model[key])

    def api(self) -> Api:
        return lifecycle.connect(self.checkout.layout("local"))

    def watch(self, api_version: str, kind: str, name: str) -> Watcher:
        return Watcher(self.checkout.layout("local"), api_version, kind, name, NAMESPACE)

    def deployment(self, api: Api) -> Object | None:
        return api.get("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)

    def scaled_object(self, api: Api) -> Object:
        found = api.get(KEDA_API, "ScaledObject", NAME, NAMESPACE)
        assert found is not None
        return found

    def autoscaler(self, api: Api) -> Object | None:
        return api.get("autoscaling/v2", "HorizontalPodAutoscaler", f"keda-hpa-{NAME}", NAMESPACE)

    def load(self, **values: float | None) -> None:
        """Say what load there is; signals that are not named have none. `kv_cache` is the signal kv-cache."""
        for signal in self.server.values:
            self.server.values[signal] = values.get(signal.replace("-", "_"), 0)

    def settle(self, api: Api, replicas: int) -> None:
        """Wait until there are so many replicas, all of them ready."""

        def settled() -> bool:
            found = self.deployment(api) or {"spec": {}}
            ready = found.get("status", {}).get("readyReplicas", 0)
            return found["spec"].get("replicas") == ready == replicas or (
                replicas == 0 == found["spec"].get("replicas")
            )

        found = wait_until(settled, seconds=SECONDS, every=0.2)
        assert found, self.deployment(api)


@contextlib.contextmanager
def without_room_for_a_while(scaled: Scaled, api: Api, zones: Mapping[str, str]) -> Generator[None]:
    """Keep the surge from the free node until the Deployment has been told of a new revision, and some seconds longer."""
    (free,) = zones.keys() - {pod["spec"]["nodeName"] for pod in pods_of(api)}
    before = (scaled.deployment(api) or {"spec": {}})["spec"].get("template")

    def told(own: Api) -> bool:
        found = scaled.deployment(own)
        return found is not None and found["spec"]["template"] != before

    def make_room() -> None:
        with scaled.api() as own:
            wait_until(lambda: told(own), seconds=SECONDS)
            wait_until(lambda: False, seconds=15)
            _cordon(own, free, on=False)

    _cordon(api, free, on=True)
    thread = Thread(target=make_room)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _cordon(api: Api, node: str, *, on: bool) -> None:
    spec = {"unschedulable": on}
    api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}, "spec": spec})


def pods_of(api: Api) -> list[Object]:
    found = api.list("v1", "Pod", NAMESPACE)
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def zones_of(api: Api) -> dict[str, str]:
    """Return the zone of each node of the model's pool."""
    labels = {each["metadata"]["name"]: each["metadata"]["labels"] for each in api.list("v1", "Node")}
    return {name: own[ZONE_LABEL] for name, own in labels.items() if own.get(POOL_LABEL) == "a10"}


def first_goes_what_stands_beside_the_free_node(api: Api, zones: Mapping[str, str]) -> None:
    """What an update replaces first is the controller's choice. This one leaves room for the first two in one zone alone."""
    pods = pods_of(api)
    (free,) = zones.keys() - {pod["spec"]["nodeName"] for pod in pods}
    for pod in pods:
        if zones[pod["spec"]["nodeName"]] == zones[free]:
            names = {key: pod["metadata"][key] for key in ("name", "namespace")}
            cheap = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
            api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {**names, "annotations": cheap}})
