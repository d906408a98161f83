"""Drains and shortage: what the real eviction API, disruption controller and scheduler do with a stack's models."""

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import pytest

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, Object, has_condition, json_bytes, wait_until
from settings.pools import GPU_RESOURCE, POOL_LABEL
from settings.stack import Settings
from tests.rehearsal.conftest import Checkout, make_checkout, rehearsed

pytestmark = pytest.mark.rehearsal

NAMESPACE: Final = "llm-prod"
CHAT, SOLO = "qwen-7b-vllm", "solo"
SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
SECONDS: Final = 60.0
TOO_MANY_REQUESTS: Final = 429
FILLER: Final = {"test": "filler"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The stack `local` with one core model more, of a single replica, and room for both."""
    made = make_checkout(tmp_path_factory.mktemp("drain") / "checkout")
    models = cast("list[dict[str, Any]]", made.section("local", "models"))
    pools = cast("list[dict[str, Any]]", made.section("local", "pools"))
    (chat,) = [model for model in models if model["name"] == CHAT]
    solo = copy.deepcopy(chat) | {
        "name": SOLO,
        "autoscaling": {"kind": "fixed", "replicas": 1},
        "rollout": {"kind": "rolling", "max_surge": 0, "max_unavailable": 1},
        "spread": {"kind": "pack"},
    }
    made.change("local", "models", [*models, solo])
    made.change("local", "pools", [pool | {"max": 6} if pool["name"] == "a10" else pool for pool in pools])
    with rehearsed(made):
        yield made


@pytest.fixture
def settings(stack: Checkout) -> Settings:
    return stack.settings("local")


@pytest.fixture
def api(stack: Checkout) -> Iterator[Api]:
    """A connection; afterwards every node takes pods again, and what a test put beside the models is gone."""
    with lifecycle.connect(stack.layout("local")) as connection:
        yield connection
        for node in connection.list("v1", "Node"):
            _cordon(connection, [node["metadata"]["name"]], on=False)
        for pod in connection.list("v1", "Pod", NAMESPACE, "test=filler"):
            connection.delete("v1", "Pod", pod["metadata"]["name"], NAMESPACE)
        assert wait_until(lambda: not connection.list("v1", "Pod", NAMESPACE, "test=filler"), seconds=SECONDS)
        assert wait_until(lambda: len(_ready(connection, CHAT)) == 3, seconds=SECONDS)
        assert wait_until(lambda: len(_ready(connection, SOLO)) == 1, seconds=SECONDS)


def _ready(api: Api, model: str) -> list[Object]:
    found = api.list("v1", "Pod", NAMESPACE, f"{SERVICE_LABEL}={model}")
    return [p for p in found if has_condition(p, "Ready") and not p["metadata"].get("deletionTimestamp")]


def _names(pods: Sequence[Object]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def _patch(api: Api, path: str, change: Object) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    api._json("PATCH", path, content=json_bytes(change), headers=headers)  # pyright: ignore[reportPrivateUsage]


def _cordon(api: Api, nodes: Sequence[str], *, on: bool = True) -> None:
    for node in nodes:
        _patch(api, f"/api/v1/nodes/{node}", {"spec": {"unschedulable": on}})


def _evict(api: Api, pod: Object) -> bool:
    """Ask for an eviction as `kubectl drain` does. False where the budget does not allow it now."""
    name = pod["metadata"]["name"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": NAMESPACE},
    }
    # Not by the client's own methods: they ask again and again where the answer is to wait.
    response = api._http.post(  # pyright: ignore[reportPrivateUsage]
        f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction", content=json.dumps(body)
    )
    if response.status_code == TOO_MANY_REQUESTS:
        assert "disruption budget" in response.text
        return False
    assert response.is_success, response.text
    return True


def _gpu_nodes(api: Api) -> set[str]:
    return {n["metadata"]["name"] for n in api.list("v1", "Node", labels=f"{POOL_LABEL}=a10")}


def _filler(name: str, priority: str) -> Object:
    """A pod that takes the GPU of a node of the chat model's pool."""
    container = {
        "name": "main",
        "image": "registry.invalid/none:1",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi", GPU_RESOURCE: "1"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": FILLER},
        "spec": {
            "priorityClassName": f"{NAMESPACE}-{priority}",
            "nodeSelector": {POOL_LABEL: "a10"},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}],
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def _fill(api: Api, priority: str, settings: Settings) -> list[str]:
    """Take every free GPU of the pool."""
    (pool,) = [pool for pool in settings.pools if pool.name == "a10"]
    names = [f"{priority}-{index}" for index in range(pool.max - 4)]
    for name in names:
        api.create(_filler(name, priority))
    assert wait_until(lambda: all(_is_ready(api, name) for name in names), seconds=SECONDS)
    return names


def _is_ready(api: Api, name: str) -> bool:
    pod = api.get("v1", "Pod", name, NAMESPACE)
    return pod is not None and has_condition(pod, "Ready")


def _unschedulable(api: Api, name: str) -> str:
    """The scheduler's words on a pod that finds no place, once it has said them."""
    said: list[str] = []

    def told() -> bool:
        pod = api.get("v1", "Pod", name, NAMESPACE) or {}
        said[:] = [
            c.get("message", "")
            for c in pod.get("status", {}).get("conditions", [])
            if c["type"] == "PodScheduled" and c["status"] == "False"
        ]
        return bool(said)

    assert wait_until(told, seconds=SECONDS)
    return said[0]


def test_a_drain_waits_for_each_replica_and_takes_no_two_at_once(api: Api) -> None:
    first, second, _ = _ready(api, CHAT)
    spare = _gpu_nodes(api) - {pod["spec"]["nodeName"] for pod in (*_ready(api, CHAT), *_ready(api, SOLO))}
    assert spare
    # Without a free node the replacement can not start, as where a new one takes minutes.
    _cordon(api, [*spare, first["spec"]["nodeName"]])
    assert _evict(api, first)
    assert wait_until(lambda: len(_ready(api, CHAT)) == 2, seconds=SECONDS)
    assert not wait_until(lambda: _evict(api, second), seconds=2)
    assert second["metadata"]["name"] in _names(_ready(api, CHAT))
    _cordon(api, list(spare), on=False)
    assert wait_until(lambda: len(_ready(api, CHAT)) == 3, seconds=SECONDS)
    assert wait_until(lambda: _evict(api, second), seconds=SECONDS)


def test_draining_every_node_of_a_model_in_turn_never_leaves_less_than_all_but_one(api: Api) -> None:
    before = _ready(api, CHAT)
    fewest = [len(before)]

    def gone(pod: Object) -> bool:
        fewest.append(len(_ready(api, CHAT)))
        return _evict(api, pod)

    def whole(node: str) -> bool:
        pods = _ready(api, CHAT)
        fewest.append(len(pods))
        return len(pods) == 3 and node not in {pod["spec"]["nodeName"] for pod in pods}

    for pod in before:
        node = pod["spec"]["nodeName"]
        _cordon(api, [node])
        assert wait_until(lambda pod=pod: gone(pod), seconds=SECONDS)
        assert wait_until(lambda node=node: whole(node), seconds=SECONDS)
        _cordon(api, [node], on=False)
    assert not _names(before) & _names(_ready(api, CHAT))
    assert min(fewest) >= 2


def test_one_replica_alone_does_not_hold_a_node(api: Api) -> None:
    (pod,) = _ready(api, SOLO)
    _cordon(api, [pod["spec"]["nodeName"]])
    assert _evict(api, pod)
    assert wait_until(
        lambda: [p["spec"]["nodeName"] != pod["spec"]["nodeName"] for p in _ready(api, SOLO)] == [True],
        seconds=SECONDS,
    )


def test_a_core_model_takes_the_gpu_of_a_best_effort_one(api: Api, settings: Settings) -> None:
    fillers = _fill(api, "best-effort", settings)
    _patch(
        api,
        f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{CHAT}",
        {"spec": {"minReplicas": 4}},
    )
    try:
        assert wait_until(lambda: len(_ready(api, CHAT)) == 4, seconds=SECONDS)
        left = [name for name in fillers if _is_ready(api, name)]
        assert len(left) == len(fillers) - 1
        assert len(_ready(api, SOLO)) == 1
    finally:
        _patch(
            api,
            f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{CHAT}",
            {"spec": {"minReplicas": 3}},
        )
        _scale(api, CHAT, 3)


def _scale(api: Api, model: str, replicas: int) -> None:
    """Not by the autoscaler, which waits for minutes before it takes a replica away."""
    _patch(
        api,
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{model}-predictor",
        {"spec": {"replicas": replicas}},
    )


@pytest.mark.parametrize("taken_by", ["core", "best-effort"])
def test_a_best_effort_model_takes_nobody_s_gpu(api: Api, settings: Settings, taken_by: str) -> None:
    fillers = _fill(api, taken_by, settings)
    models = _names([*_ready(api, CHAT), *_ready(api, SOLO)])
    api.create(_filler("late", "best-effort"))
    said = _unschedulable(api, "late")
    assert "Insufficient nvidia.com/gpu" in said
    assert all(_is_ready(api, name) for name in fillers)
    assert _names([*_ready(api, CHAT), *_ready(api, SOLO)]) == models


def test_a_core_model_takes_no_gpu_of_another_core_one(api: Api, settings: Settings) -> None:
    fillers = _fill(api, "core", settings)
    api.create(_filler("late", "core"))
    assert "Insufficient nvidia.com/gpu" in _unschedulable(api, "late")
    assert all(_is_ready(api, name) for name in fillers)
