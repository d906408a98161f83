"""Replicas that come and go under load: who ends is taken out of the routes first, and finishes what it has begun."""

from typing import Final

import httpx
import pytest

from components.addons.envoy_gateway import OWN_API
from components.route_policy import WAKING
from rehearsal.cluster.api import Object
from tests.gateway.calls import refused
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.load import Request, load
from tests.gateway.models import MODEL, VERSION_LABEL, add_version, scale, sections, service, wait_for
from tests.gateway.proxies import backend_weights, counters, routes_answer_by_themselves

pytestmark = pytest.mark.gateway

VERSION: Final = "v2"
REQUEST: Final[dict[str, object]] = {"model": MODEL, "max_tokens": 1}
CLUSTER: Final = f"httproute/{MODELS}/models/rule/0"
HTTP: Final = {"envoy_http_conn_manager_prefix": "http-8080"}
TO_THE_SERVICE: Final[Object] = {
    "apiVersion": OWN_API,
    "kind": "BackendTrafficPolicy",
    "metadata": {"name": "models", "namespace": MODELS},
    "spec": {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "models"}],
        **WAKING,
    },
}


@pytest.fixture(scope="module", autouse=True)
def version(plane: DataPlane) -> None:
    add_version(plane, VERSION)
    wait_for(plane, VERSION, 1)


def _ask(plane: DataPlane) -> httpx.Response:
    url = plane.route_urls()[0]
    return httpx.post(f"{url}/v1/chat/completions", json=REQUEST, trust_env=False, timeout=30)


def _counted(plane: DataPlane, name: str) -> float:
    (proxy,) = plane.proxies()
    return sum(value for labels, value in counters(proxy, name) if HTTP.items() <= labels.items())


def test_replicas_come_and_go_without_a_failed_request(plane: DataPlane) -> None:
    plane.route("models", {service(VERSION): 1})
    with load(plane.route_urls, Request(model=MODEL, tokens=100), clients=4) as running:
        for replicas in (3, 1, 2, 1):
            running.wait_for(10)
            scale(plane, VERSION, replicas)
        running.wait_for(10)
    assert running.failures == []
    assert len({outcome.pod for outcome in running.outcomes}) >= 3


def test_a_new_version_of_a_model_rolls_out_without_a_failed_request(plane: DataPlane) -> None:
    """Every replica is replaced: the surge comes first, then the old one drains."""
    plane.route("models", {service(VERSION): 1})
    found = plane.api.get("apps/v1", "Deployment", service(VERSION), MODELS)
    assert found is not None
    with load(plane.route_urls, Request(model=MODEL, tokens=100), clients=4) as running:
        running.wait_for(10)
        before = {outcome.pod for outcome in running.outcomes}
        template = found["spec"]["template"]
        template["metadata"]["annotations"] = {"restarted": "once"}
        keys = ("name", "namespace", "labels")
        meta = {key: found["metadata"][key] for key in keys}
        plane.api.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": found["spec"]}
        )
        wait_for(plane, VERSION, 1)
        # A busy machine is slow to tell the proxy: who goes still answers until it is gone.
        plane.until("the old one is gone", lambda: len(plane.pods({VERSION_LABEL: VERSION})) == 1)
        asked = len(running.outcomes)
        running.wait_for(20)
        after = {outcome.pod for outcome in running.outcomes[asked + 8 :]}
    assert running.failures == []
    assert before.isdisjoint(after)


def test_without_replicas_the_gateway_answers_503_and_counts_it_for_the_listener_alone(
    plane: DataPlane,
) -> None:
    """Nothing of the model is left in Envoy then: neither a cluster nor a counter bears its name."""
    plane.route("models", {service(VERSION): 1})
    scale(plane, VERSION, 0)
    (proxy,) = plane.proxies()
    plane.until("the route answers by itself", lambda: routes_answer_by_themselves(proxy, "models"))
    before = _counted(plane, "envoy_http_rq_direct_response")
    answers = [_ask(plane) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert {refused(answer, 503)["code"] for answer in answers} == {"overloaded"}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert _counted(plane, "envoy_http_rq_direct_response") - before == 3
    clusters = {
        labels["envoy_cluster_name"] for labels, _ in counters(proxy, "envoy_cluster_upstream_rq_total")
    }
    assert not [name for name in clusters if "/models/" in name]
    scale(plane, VERSION, 1)
    plane.routed("models", [1])
    assert _ask(plane).status_code == 200


def test_the_share_of_a_version_without_replicas_is_not_taken_over_by_the_other(plane: DataPlane) -> None:
    """So a canary gets its weight after its replicas, and loses it before them."""
    plane.route("models", {service(): 50, service(VERSION): 50})
    scale(plane, VERSION, 0)
    (proxy,) = plane.proxies()
    plane.until("it has no endpoints", lambda: set(backend_weights(proxy, "models")) == {0})
    before = _counted(plane, "envoy_http_no_cluster")
    statuses = [_ask(plane).status_code for _ in range(100)]
    assert set(statuses) == {200, 503}
    assert _counted(plane, "envoy_http_no_cluster") - before == statuses.count(503)
    scale(plane, VERSION, 1)
    plane.routed("models", [50, 50])
    assert {_ask(plane).status_code for _ in range(20)} == {200}


def test_a_route_to_the_service_s_address_counts_who_came_for_a_model_without_replicas(
    plane: DataPlane,
) -> None:
    """The one counter with the model's name that moves at zero replicas: requests for which no connection came about."""
    plane.route("models", {service(VERSION): 1})
    scale(plane, VERSION, 0)
    plane.until("nobody is behind the Service", lambda: not plane.pods({VERSION_LABEL: VERSION}))
    plane.api.apply(TO_THE_SERVICE)

    def failed() -> float:
        (proxy,) = plane.proxies()
        found = counters(proxy, "envoy_cluster_upstream_rq_pending_failure_eject")
        return sum(value for labels, value in found if labels["envoy_cluster_name"] == CLUSTER)

    plane.until("a request for the model is counted", lambda: _ask(plane).status_code == 503 and failed() > 0)
    before = failed()
    assert [_ask(plane).status_code for _ in range(5)] == [503] * 5
    assert failed() - before == 5
    scale(plane, VERSION, 1)
    plane.until("the model answers", lambda: _ask(plane).status_code == 200)
    plane.api.delete(OWN_API, "BackendTrafficPolicy", "models", MODELS)


def test_a_stopped_model_is_no_fault_of_the_gateway_s_and_a_start_brings_it_back(plane: DataPlane) -> None:
    """Its Service is gone: a route to that would be answered with 500."""
    (url,) = plane.model_urls(MODEL)
    seen: list[httpx.Response] = []

    def answers(status: int) -> bool:
        seen.append(httpx.post(f"{url}/v1/chat/completions", json=REQUEST, trust_env=False, timeout=30))
        return seen[-1].status_code == status

    plane.until("the model answers", lambda: answers(200))
    stopped = sections()
    stopped["models"][0]["stopped"] = True
    plane.stack("gateway", stopped).up()
    assert plane.api.get("v1", "Service", service(), MODELS) is None
    plane.until("it is told that there is no replica", lambda: answers(503))
    assert seen[-1].json()["error"]["code"] == "overloaded"
    plane.stack("gateway", sections()).up()
    plane.until("the model answers again", lambda: answers(200))
    assert {answer.status_code for answer in seen} == {200, 503}
