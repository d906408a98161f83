"""A real Prometheus reads the pods that answer, with the labels that the operator gives."""

from collections.abc import Iterator
from typing import Final

import pytest

from components.engine_args import METRICS_PORT_NAME
from components.model_monitor import API_VERSION, KIND
from components.signals import GATEWAY_MONITOR, SERVICE_LABEL, SERVICE_SERIES_LABEL, gateway_demand
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.load import Request, load
from tests.gateway.models import MODEL
from tests.gateway.monitoring import prometheus
from tests.live_prometheus import Prometheus

pytestmark = pytest.mark.gateway

SERVICE: Final = f'{{{SERVICE_SERIES_LABEL}="{MODEL}"}}'
# The label `endpoint` of a series is the port's name, by the operator: the middleware's own is kept beside it.
ANSWERS: Final = (
    f"sum by (status_code) (vllm_platform_requests_total{SERVICE[:-1]}"
    ',exported_endpoint="/v1/chat/completions"})'
)


@pytest.fixture(scope="module")
def monitored(plane: DataPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It reads what the program's own PodMonitors name."""
    monitors = plane.api.list(API_VERSION, KIND, MODELS)
    assert {monitor["metadata"]["name"] for monitor in monitors} == {"models", GATEWAY_MONITOR}
    folder = tmp_path_factory.mktemp("monitoring") / "prometheus"
    with prometheus(plane.cluster.layout, monitors, folder) as made:
        plane.until("the model's pod is scraped", lambda: made.value(f"up{SERVICE}") == 1)
        yield made


def test_series_have_the_labels_of_a_pod_monitor(plane: DataPlane, monitored: Prometheus) -> None:
    ((labels, _),) = monitored.query(f"up{SERVICE}")
    (pod,) = plane.pods({SERVICE_LABEL: MODEL})
    assert labels["pod"] == pod.name
    assert labels["namespace"] == MODELS
    assert labels["container"] == "kserve-container"
    assert labels["job"] == "vllm"
    assert labels["endpoint"] == METRICS_PORT_NAME
    assert labels["instance"] == f"{pod.address}:8001"


def test_the_counters_say_what_the_clients_saw(plane: DataPlane, monitored: Prometheus) -> None:
    plane.behave(Behaviour(error_ratio=0.5), {SERVICE_LABEL: MODEL})
    with load(lambda: plane.model_urls(MODEL), Request(model=MODEL, tokens=5), requests=100) as running:
        running.wait_for(100)
    plane.behave(Behaviour(), {SERVICE_LABEL: MODEL})
    failed = len(running.failures)
    assert 0 < failed < 100
    assert {outcome.status for outcome in running.failures} == {500}
    wanted = {"200": 100 - failed, "500": failed}

    def counted() -> bool:
        return {labels["status_code"]: value for labels, value in monitored.query(ANSWERS)} == wanted

    plane.until(f"the counters say {wanted}", counted)


def test_a_slow_engine_is_slow_in_its_own_histograms(plane: DataPlane, monitored: Prometheus) -> None:
    mean = f"sum(vllm:time_to_first_token_seconds_sum{SERVICE}) / sum(vllm:time_to_first_token_seconds_count{SERVICE})"
    before = monitored.value(mean) or 0.0
    plane.behave(Behaviour(first_token_seconds=2.0), {SERVICE_LABEL: MODEL})
    # As many as there were, so that their mean is more than half of a slow one's.
    with load(
        lambda: plane.model_urls(MODEL), Request(model=MODEL, tokens=5), clients=16, requests=100
    ) as running:
        running.wait_for(100)
    plane.behave(Behaviour(), {SERVICE_LABEL: MODEL})
    assert running.failures == []
    assert before < 1.0
    plane.until("the mean time to the first token has grown", lambda: (monitored.value(mean) or 0.0) > 1.0)


def test_the_gateway_s_demand_is_what_came_for_a_model(plane: DataPlane, monitored: Prometheus) -> None:
    """By the query that a scaler asks."""
    query = gateway_demand(MODELS, MODEL)
    plane.until("nobody came for a minute", lambda: monitored.value(query) == 0)
    with load(lambda: plane.model_urls(MODEL), Request(model=MODEL, tokens=5), requests=30) as running:
        running.wait_for(30)
    assert running.failures == []
    plane.until("the demand is what came", lambda: monitored.value(query) == 30)
