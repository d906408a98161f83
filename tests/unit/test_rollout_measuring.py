"""What is read of the cluster and asked of Prometheus, and what becomes of the answers."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from ops.cluster_api import ClusterApi, ClusterError, Seen
from ops.rollout import queries
from ops.rollout.judge import Health
from ops.rollout.measure import Meter
from ops.rollout.observe import Live, look
from ops.rollout.place import Place, in_cluster
from ops.rollout.prometheus import Prometheus, PrometheusError, Sample
from ops.rollout.queries import Window
from rehearsal.engine import PulumiStack

pytestmark = pytest.mark.unit

NOW: Final = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
READY: Final = {"type": "Ready", "status": "True"}


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def written(seconds: float, **more: object) -> dict[str, object]:
    return {"time": ago(seconds), "fieldsV1": {"f:spec": {}}, **more}


def service(*fields: object, conditions: object = (READY,)) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": ago(9000), "managedFields": list(fields)},
        "status": {"conditions": conditions},
    }


def runs(image: str) -> dict[str, Any]:
    template = {"metadata": revision("a"), "spec": {"containers": [{"image": image}]}}
    return {"spec": {"replicas": 3, "template": template}}


def revision(name: str) -> dict[str, Any]:
    return {"annotations": {"vllm-platform.io/template": name}}


def pod(address: str | None, restarts: int = 0) -> dict[str, Any]:
    return {"status": {"podIP": address, "containerStatuses": [{"restartCount": restarts}]}}


GATEWAY: Final = "/apis/gateway.networking.k8s.io/v1/namespaces/llm-prod/httproutes/chat"
CANARY: Final = "/apis/serving.kserve.io/v1beta1/namespaces/llm-prod/inferenceservices/chat-canary"
STABLE: Final = "/apis/serving.kserve.io/v1beta1/namespaces/llm-prod/inferenceservices/chat"
CANARYS: Final = "/apis/apps/v1/namespaces/llm-prod/deployments/chat-canary-predictor"
DEPLOYMENT: Final = "/apis/apps/v1/namespaces/llm-prod/deployments/chat-predictor"


class Cluster:
    """A cluster in which 25 percent go to the candidate since 120 seconds."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {
            GATEWAY: {
                "metadata": {
                    "managedFields": [written(120), written(3, subresource="status"), written(9000)]
                },
                "spec": {
                    "rules": [
                        {
                            "backendRefs": [
                                {"name": "chat-predictor", "weight": 75},
                                {"name": "chat-canary-predictor", "weight": 25},
                            ]
                        }
                    ]
                },
            },
            STABLE: {**service(written(9000)), "spec": {"predictor": revision("a")}},
            CANARY: service(written(150)),
            CANARYS: {**runs("r/chat:v2"), "status": {"availableReplicas": 1}},
            DEPLOYMENT: {
                "metadata": {"generation": 4},
                **runs("r/chat:v1"),
                "status": {
                    "observedGeneration": 4,
                    "replicas": 3,
                    "updatedReplicas": 3,
                    "availableReplicas": 3,
                },
            },
        }
        self.pods = {"chat": [pod("10.0.0.1"), pod(None)], "chat-canary": [pod("10.0.0.2")]}

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Seen:
        if path == "/api/v1/namespaces/llm-prod/pods":
            label = (parameters or {})["labelSelector"]
            name = label.removeprefix("serving.kserve.io/inferenceservice=")
            return Seen(content={"items": self.pods[name]}, at=NOW)
        return Seen(content=deepcopy(self.objects.get(path)), at=NOW)

    def look(self) -> Live:
        return look(self, "llm-prod", "chat")


class TestLook:
    def test_it_sees_weight_age_health_images_and_addresses(self) -> None:
        assert Cluster().look() == Live(
            weight=25,
            age=120,
            health=Health(state="ready", replicas=1),
            replicas=3,
            settled=True,
            images={"chat": "r/chat:v1", "chat-canary": "r/chat:v2"},
            addresses={"chat": ["10.0.0.1"], "chat-canary": ["10.0.0.2"]},
        )

    def test_a_step_is_as_old_as_the_last_change_of_route_or_candidate(self) -> None:
        cluster = Cluster()
        cluster.objects[CANARY]["metadata"]["managedFields"].append(written(20))
        assert cluster.look().age == 20

    def test_without_a_rollout_nothing_is_there(self) -> None:
        cluster = Cluster()
        del cluster.objects[GATEWAY]
        del cluster.objects[CANARY]
        cluster.pods["chat-canary"] = []
        found = cluster.look()
        assert (found.weight, found.health) == (None, None)
        cluster.objects = {}
        assert cluster.look().replicas is None

    def test_a_route_that_does_not_name_the_candidate_gives_it_nothing(self) -> None:
        cluster = Cluster()
        cluster.objects[GATEWAY]["spec"]["rules"][0]["backendRefs"].pop()
        assert cluster.look().weight == 0

    @pytest.mark.parametrize(
        ("conditions", "state"),
        [
            (None, "not ready yet"),
            ([{"type": "Ready", "status": "False", "lastTransitionTime": ago(10)}], "not ready yet"),
            ([{"type": "Ready", "status": "Unknown", "lastTransitionTime": ago(70)}], "not ready"),
        ],
    )
    def test_not_ready_for_a_moment_is_not_known_for_longer_is_bad(
        self, conditions: object, state: str
    ) -> None:
        cluster = Cluster()
        cluster.objects[CANARY] = service(conditions=conditions)
        health = cluster.look().health
        assert health is not None
        assert health.state == state

    def test_restarts_of_all_its_containers_count(self) -> None:
        cluster = Cluster()
        cluster.pods["chat-canary"] = [pod("10.0.0.2", 1), pod("10.0.0.3", 2)]
        assert cluster.look().health == Health(state="ready", replicas=1, restarts=3)

    @pytest.mark.parametrize(
        "change",
        [{"updatedReplicas": 2}, {"availableReplicas": 2}, {"replicas": 4}, {"observedGeneration": 3}],
    )
    def test_a_stable_version_that_is_being_replaced_is_not_settled(self, change: dict[str, int]) -> None:
        cluster = Cluster()
        cluster.objects[DEPLOYMENT]["status"].update(change)
        assert not cluster.look().settled

    def test_it_is_not_settled_before_kserve_has_told_the_deployment(self) -> None:
        """Other flags of the engine leave the image as it is: by it alone nobody would see that nothing has begun."""
        cluster = Cluster()
        cluster.objects[STABLE]["spec"]["predictor"] = revision("b")
        assert not cluster.look().settled


class TestQueries:
    def test_pods_of_a_version_are_not_those_of_another_name(self) -> None:
        labels = queries.pods_of("chat", "llm-prod")
        found = re.search(r'pod=~"(.*)"', labels)
        assert found is not None
        assert re.fullmatch(found[1], "chat-predictor-7d9f6c5b8-x2x4z")
        assert not re.fullmatch(found[1], "chat-canary-predictor-7d9f6c5b8-x2x4z")
        assert not re.fullmatch(found[1], "small-chat-predictor-7d9f6c5b8-x2x4z")

    def test_addresses_are_whole_addresses(self) -> None:
        labels = queries.endpoints_of("chat", "llm-prod", ["10.0.0.1"])
        found = re.search(r'envoy_endpoint_address=~"(.*)"', labels)
        assert found is not None
        pattern = found[1].replace("\\\\", "\\")
        assert re.fullmatch(pattern, "10.0.0.1:8000")
        assert not re.fullmatch(pattern, "10.0.0.11:8000")
        assert not re.fullmatch(pattern, "10.0.001:8000")


class Answers:
    """Prometheus with an answer for each pattern of a query; the first that fits."""

    def __init__(self, **numbers: float | None) -> None:
        self.asked: list[str] = []
        self.numbers = {
            "total": 1000.0,
            "refused": None,
            "failed": None,
            "ok": 1000.0,
            "error": 0.0,
            **numbers,
        }

    def ask(self, query: str) -> list[Sample]:
        self.asked.append(query)
        if "_bucket" in query:
            buckets = {"0.1": 90.0, "+Inf": 100.0, "0.25": 89.5}
            return [Sample(labels={"le": bound}, value=count) for bound, count in buckets.items()]
        if "rq_success" in query:
            value = self.numbers["ok"]
        elif "rq_error" in query:
            value = self.numbers["error"]
        else:
            value = self.numbers["failed" if '"5.."' in query else "refused" if '"4.."' in query else "total"]
        return [] if value is None else [Sample(labels={}, value=value)]


def meter(answers: Answers, task: Any = "generate") -> Meter:  # noqa: ANN401 - a word of a Literal
    prometheus = Prometheus(lambda _, __: iter(()))
    prometheus.ask = answers.ask
    return Meter(prometheus=prometheus, namespace="llm-prod", model="chat", task=task)


class TestMeter:
    def test_an_outcome_that_never_was_is_none_of_the_requests(self) -> None:
        canary, _ = meter(Answers(refused=7.0)).measure(Cluster().look(), 25)
        assert (canary.engine.total, canary.engine.refused, canary.engine.failed) == (1000, 7, 0)
        assert (canary.gateway.total, canary.gateway.failed) == (1000, 0)

    def test_pods_that_nobody_measures_are_not_pods_without_errors(self) -> None:
        canary, _ = meter(Answers(total=None, ok=None, error=None)).measure(Cluster().look(), 25)
        assert (canary.engine.total, canary.engine.failed, canary.gateway.total) == (None, None, None)

    def test_a_histogram_rises_although_pods_are_asked_one_after_the_other(self) -> None:
        canary, _ = meter(Answers()).measure(Cluster().look(), 25)
        assert canary.times["first token"].buckets == ((0.1, 90.0), (0.25, 90.0), (float("inf"), 100.0))

    def test_an_embedding_has_no_tokens_between_which_there_is_time(self) -> None:
        canary, stable = meter(Answers(), "embed").measure(Cluster().look(), 25)
        assert set(canary.times) == set(stable.times) == {"first token"}

    def test_nothing_before_the_step_counts(self) -> None:
        answers = Answers()
        meter(answers).measure(Cluster().look(), 25)
        assert {
            match for query in answers.asked for match in re.findall(r"\[\w+\](?: offset \w+)?", query)
        } == {"[120s]"}

    def test_a_stable_version_without_traffic_is_measured_before_the_step(self) -> None:
        answers = Answers()
        meter(answers).measure(Cluster().look(), 100)
        plain = [query.replace("\\", "") for query in answers.asked]
        of_stable = [query for query in plain if "10.0.0.1)" in query or '"chat-predictor' in query]
        of_canary = [query for query in plain if query not in of_stable]
        assert all("[120s] offset 120s" in query for query in of_stable)
        assert not [query for query in of_canary if "offset" in query]
        assert len(of_stable) == len(of_canary) == 7


def test_window_is_written_as_promql_has_it() -> None:
    assert str(Window(seconds=30)) == "[30s]"
    assert str(Window(seconds=30, ago=60)) == "[30s] offset 60s"


class _Login(ClusterApi):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def stream(self, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        self.asked.append(path)
        if parameters["query"] == "broken":
            raise ClusterError("the API server does not answer")
        yield b'{"status": "success", "data": {"resultType": "vector", "result": []}}'


class _Somewhere(Place):
    def log_in(self) -> ClusterApi:
        return _Login()

    def deploy(self) -> None:
        raise AssertionError

    def pulumi(self) -> PulumiStack:
        raise AssertionError

    def prometheus_address(self) -> str | None:
        return None


def test_an_address_in_the_cluster_is_reached_through_its_api_server() -> None:
    place = _Somewhere("local", Path(), Console())
    asked = Prometheus(in_cluster(place, "http://platform-prometheus.monitoring.svc.cluster.local:9090"))
    assert asked.ask("up") == []
    login = place.cluster()
    assert isinstance(login, _Login)
    assert login.asked == [
        "/api/v1/namespaces/monitoring/services/http:platform-prometheus:9090/proxy/api/v1/query"
    ]
    with pytest.raises(PrometheusError, match="does not answer"):
        asked.ask("broken")
