"""KEDA's own operator, metrics and webhooks on the program's ScaledObject, with the real autoscaler and KServe's controller.

Nodes and pods are simulated, and who answers KEDA's questions is a server of this test that says what load there is.
"""

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from components import signals
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError, Object, has_condition, wait_until
from tests.rehearsal.conftest import make_checkout, remove_clusters
from tests.rehearsal.scaled import (
    DEPLOYMENT,
    KEDA_API,
    NAME,
    NAMESPACE,
    SCALER,
    SECONDS,
    Scaled,
    first_goes_what_stands_beside_the_free_node,
    pods_of,
    without_room_for_a_while,
    zones_of,
)
from tests.rehearsal.signal_server import SignalServer

pytestmark = pytest.mark.rehearsal

# Always: it ends on the last day of a year and begins on the first.
ALL_YEAR: Final = {
    "name": "all-year",
    "timezone": "Europe/Berlin",
    "start": "0 0 1 1 *",
    "end": "59 23 31 12 *",
    "replicas": 2,
}


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaled]:
    checkout = make_checkout(tmp_path_factory.mktemp("keda") / "checkout")
    with SignalServer() as server:
        try:
            stack = Scaled(checkout, server)
            stack.deploy()
            yield stack
        finally:
            remove_clusters(checkout)


@pytest.fixture
def api(scaled: Scaled) -> Iterator[Api]:
    with scaled.api() as connection:
        yield connection


def test_keda_takes_the_scaled_object_and_makes_its_autoscaler(scaled: Scaled, api: Api) -> None:
    assert wait_until(lambda: has_condition(scaled.scaled_object(api), "Ready"), seconds=SECONDS)
    autoscaler = scaled.autoscaler(api)
    assert autoscaler is not None
    spec = autoscaler["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 4)
    assert spec["scaleTargetRef"]["name"] == DEPLOYMENT
    assert [metric["external"]["target"]["averageValue"] for metric in spec["metrics"]] == [
        "12.800",
        "4",
        "800m",
    ]
    down = spec["behavior"]["scaleDown"]
    assert (down["stabilizationWindowSeconds"], down["policies"]) == (
        5,
        [{"type": "Pods", "value": 1, "periodSeconds": 5}],
    )


def test_keda_s_webhook_refuses_a_second_owner_of_the_replicas(scaled: Scaled, api: Api) -> None:
    second = copy.deepcopy(scaled.scaled_object(api))
    second["metadata"] = {"name": "second", "namespace": NAMESPACE}
    second.pop("status", None)
    # The webhook has a check against other ScaledObjects and one against autoscalers, KEDA's own among them, and runs them
    # in the order of a Go map (scaledobject_webhook.go, validateWorkload): either may be the one that says no.
    owner = rf"(ScaledObject '{NAME}'|hpa 'keda-hpa-{NAME}')"
    workload = rf"the workload '{DEPLOYMENT}' of type 'apps/v1\.Deployment'"
    with pytest.raises(ApiError, match=f"{workload} is already managed by the {owner}"):
        api.create(second)
    assert api.get(KEDA_API, "ScaledObject", "second", NAMESPACE) is None


def test_keda_asks_what_the_program_means(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    expected = {ask(NAMESPACE, NAME) for ask in (signals.running, signals.waiting, signals.kv_cache)}
    assert wait_until(lambda: scaled.server.queries >= expected, seconds=SECONDS)
    assert scaled.server.queries == expected


def test_load_brings_replicas_and_quiet_takes_them_one_at_a_time(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    with scaled.watch("apps/v1", "Deployment", DEPLOYMENT) as watcher:
        scaled.load(waiting=100)
        scaled.settle(api, 4)
        scaled.load()
        scaled.settle(api, 1)
    replicas = watcher.values("spec", "replicas")
    assert replicas[0] == 1
    assert max(replicas) == 4
    assert replicas[replicas.index(4) :] == [4, 3, 2, 1]


def test_the_signal_that_asks_for_most_decides(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    # 2 of 4, 2.0 of 0.8 a replica, 20 of 12.8 a replica: one, three, two.
    scaled.load(waiting=2, kv_cache=2.0, running=20)
    scaled.settle(api, 3)


def test_a_scrape_that_broke_takes_nothing_and_the_fallback_holds(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    scaled.load(waiting=None, running=None, kv_cache=None)
    # More than there were: at least so many.
    scaled.settle(api, 3)
    assert wait_until(lambda: has_condition(scaled.scaled_object(api), "Fallback"), seconds=SECONDS)
    # Then as many as there are.
    scaled.load(waiting=100)
    scaled.settle(api, 4)
    with scaled.watch("apps/v1", "Deployment", DEPLOYMENT) as watcher:
        scaled.load(waiting=None, running=None, kv_cache=None)
        assert wait_until(lambda: has_condition(scaled.scaled_object(api), "Fallback"), seconds=SECONDS)
        # Long enough for the autoscaler to have taken one, had it wanted to: it takes one each 5 s after 5 quiet ones.
        wait_until(lambda: False, seconds=20)
    assert watcher.values("spec", "replicas") == [4]
    scaled.load()
    assert wait_until(lambda: not has_condition(scaled.scaled_object(api), "Fallback"), seconds=SECONDS)


def test_a_window_is_a_floor_and_a_load_goes_above_it(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    scaled.deploy({**SCALER, "windows": [ALL_YEAR]})
    scaled.settle(api, 2)
    scaled.load(waiting=100)
    scaled.settle(api, 4)
    scaled.load()
    scaled.settle(api, 2)


def test_no_update_sets_back_what_the_scaler_did_and_none_takes_a_replica_that_serves(
    scaled: Scaled, api: Api
) -> None:
    scaled.begin(api)
    scaled.load(waiting=100)
    scaled.settle(api, 4)
    engine = scaled.part("engine") | {"max_num_seqs": 12}
    image = scaled.part("image") | {"tag": "v1.1"}
    zones = zones_of(api)
    # The pool is full but for the surge.
    assert len(zones) == 5
    updates: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "bounds and a target": ({"min": 2, "targets": {"waiting": 5}}, {}),
        "a flag of the engine": ({}, {"engine": engine}),
        "the image": ({}, {"engine": engine, "image": image}),
        # To pods as they were before: the Deployment has their ReplicaSet still.
        "the image that was": ({}, {"engine": engine}),
    }
    for what, (scaler, changes) in updates.items():
        before = scaled.deployment(api)
        assert before is not None
        if what == "the image":
            first_goes_what_stands_beside_the_free_node(api, zones)
        with (
            scaled.watch("apps/v1", "Deployment", DEPLOYMENT) as deployment,
            scaled.watch("policy/v1", "PodDisruptionBudget", NAME) as budget,
        ):
            held_up = without_room_for_a_while(scaled, api, zones) if what == "a flag of the engine" else None
            with held_up or contextlib.nullcontext():
                scaled.deploy({**SCALER, **scaler}, **changes)
                after = scaled.deployment(api)
        assert after is not None
        # The scaler made four of one, and so the Deployment's generation is ahead of the InferenceService's.
        assert _rolled_out(after) == 4, what
        # In place: the same object, and new pods where the pods' own settings changed.
        assert after["metadata"]["uid"] == before["metadata"]["uid"], what
        assert (after["spec"]["template"] != before["spec"]["template"]) == bool(changes), what
        assert deployment.values("spec", "replicas") == [4], what
        assert min(deployment.values("status", "availableReplicas")) == 4, what
        for state in budget.states:
            assert state["status"]["currentHealthy"] >= state["status"]["desiredHealthy"], what
        assert {zones[pod["spec"]["nodeName"]] for pod in pods_of(api)} == set(zones.values()), what


def _rolled_out(deployment: Object) -> int:
    """Count the replicas of the newest revision that serve; 0 while there is any other."""
    status = deployment["status"]
    known = status["observedGeneration"] == deployment["metadata"]["generation"]
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return counts.pop() if known and len(counts) == 1 else 0


def test_an_update_after_the_deployment_was_made_anew_ends(scaled: Scaled, api: Api) -> None:
    """Its generations begin at 1 again, below those of the InferenceService."""
    scaled.load()
    if scaled.is_as_it_begins():
        scaled.deploy(engine=scaled.part("engine") | {"max_num_seqs": 13})
    before = scaled.deployment(api)
    assert before is not None
    api.delete("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)

    def anew() -> bool:
        found = scaled.deployment(api)
        return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

    assert wait_until(anew, seconds=SECONDS)
    # The update is the one back to where tests begin.
    scaled.deploy()
    after = scaled.deployment(api)
    assert after is not None
    assert _rolled_out(after) == 1
    service = api.get("serving.kserve.io/v1beta1", "InferenceService", NAME, NAMESPACE)
    assert service is not None
    assert after["metadata"]["generation"] < service["metadata"]["generation"]


def test_a_stopped_model_frees_its_gpus_and_a_start_brings_it_back(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    assert "stopped" in scaled.deploy(stopped=True)
    # When it ends, the last pod is gone and not on its way out.
    assert api.list("v1", "Pod", NAMESPACE) == []
    assert scaled.deployment(api) is None
    assert wait_until(lambda: scaled.autoscaler(api) is None, seconds=SECONDS)
    assert has_condition(scaled.scaled_object(api), "Paused")
    assert api.get("policy/v1", "PodDisruptionBudget", NAME, NAMESPACE) is not None
    again = next(line for line in scaled.deploy(stopped=True).splitlines() if line.startswith("pulumi up:"))
    assert not [word for word in ("create", "update", "delete", "replace") if word in again]
    scaled.deploy({**SCALER, "min": 2})
    scaled.settle(api, 2)
    assert not has_condition(scaled.scaled_object(api), "Paused")
    scaled.load(waiting=100)
    scaled.settle(api, 4)


def test_without_demand_the_last_replica_goes_and_demand_brings_the_first(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    times = {"polling_seconds": 5, "cooldown_seconds": 60}
    starts = {"startup_seconds": 60}
    scaler = {**SCALER, "min": 0, "signals": ["gateway-demand", "running"], "targets": {}, "to_zero": times}
    scaled.load(gateway_demand=1)
    scaled.deploy(scaler, lifecycle=starts)
    scaled.settle(api, 1)
    scaled.load()
    scaled.settle(api, 0)
    service = api.get("serving.kserve.io/v1beta1", "InferenceService", NAME, NAMESPACE)
    assert service is not None
    assert has_condition(service, "Ready")
    # An update while there is none leaves it so, and does not wait for a replica.
    scaled.deploy({**scaler, "targets": {"running": 50}}, lifecycle=starts)
    assert (scaled.deployment(api) or {"spec": {}})["spec"]["replicas"] == 0
    scaled.load(gateway_demand=1)
    scaled.settle(api, 1)


def test_from_an_autoscaler_of_ours_to_keda_and_back_the_replicas_stay(scaled: Scaled, api: Api) -> None:
    scaled.begin(api)
    scaled.load(waiting=100)
    scaled.settle(api, 4)
    with scaled.watch("apps/v1", "Deployment", DEPLOYMENT) as deployment:
        scaled.deploy({"kind": "hpa", "min": 1, "max": 4})
        assert api.get("autoscaling/v2", "HorizontalPodAutoscaler", NAME, NAMESPACE) is not None
        assert wait_until(lambda: scaled.autoscaler(api) is None, seconds=SECONDS)
        scaled.deploy()
        assert api.get("autoscaling/v2", "HorizontalPodAutoscaler", NAME, NAMESPACE) is None
        assert wait_until(lambda: scaled.autoscaler(api) is not None, seconds=SECONDS)
        wait_until(lambda: False, seconds=10)
    assert deployment.values("spec", "replicas") == [4]


def test_it_listens_on_loopback_only(scaled: Scaled) -> None:
    import psutil  # noqa: PLC0415 - this test alone looks at processes

    found = lifecycle.status(scaled.checkout.layout("local"))
    keda = [each for each in found.alive if each.name.startswith("keda-")]
    assert len(keda) == 3
    for each in keda:
        process = psutil.Process(each.pid)
        listening = [c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening
        assert set(listening) == {"127.0.0.1"}
    assert (Path(scaled.checkout.layout("local").logs) / "keda-operator.log").is_file()
