"""Who stands where: GPU nodes hold models and listed agents only, replicas survive the loss of their node."""

from collections import Counter

import pytest

from rehearsal.cluster.api import Api, ApiError, Object, has_condition, wait_until
from rehearsal.cluster.nodes import ZONE_LABEL
from settings.pools import GPU_RESOURCE, POOL_LABEL
from settings.stack import Settings
from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal

SERVICE_LABEL = "serving.kserve.io/inferenceservice"
RECOVERY_SECONDS = 90.0


@pytest.fixture
def settings(local: Checkout) -> Settings:
    return local.settings("local")


def pod(
    name: str, *, namespace: str = "default", account: str = "default", gpus: int = 0, **spec: object
) -> Object:
    """A pod that tolerates the taint of GPU nodes, and passes restricted pod security."""
    limits = {"cpu": "100m", "memory": "64Mi"} | ({GPU_RESOURCE: str(gpus)} if gpus else {})
    container = {
        "name": "main",
        "image": "registry.invalid/none:1",
        "resources": {"limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    tolerations = [{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceAccountName": account,
            "containers": [container],
            "tolerations": tolerations,
            **spec,
        },
    }


def model_pods(api: Api, settings: Settings, model: str) -> list[Object]:
    """Ready replicas of a model that are not on their way out."""
    found = api.list("v1", "Pod", settings.namespace, f"{SERVICE_LABEL}={model}")
    return [p for p in found if has_condition(p, "Ready") and not p["metadata"].get("deletionTimestamp")]


def places(api: Api, pods: list[Object]) -> list[Object]:
    nodes = {n["metadata"]["name"]: n for n in api.list("v1", "Node")}
    return [nodes[p["spec"]["nodeName"]] for p in pods]


def test_every_model_pod_is_on_a_node_of_its_pool(api: Api, settings: Settings) -> None:
    for model in settings.enabled_models:
        pods = model_pods(api, settings, model.name)
        assert len(pods) == model.min_replicas
        assert {n["metadata"]["labels"][POOL_LABEL] for n in places(api, pods)} == {
            settings.pool_of(model).name
        }


def test_no_other_pod_is_on_a_gpu_node(api: Api, settings: Settings) -> None:
    gpu_pools = {p.name for p in settings.gpu_pools}
    on_gpu = [
        p
        for p in api.list("v1", "Pod")
        if places(api, [p])[0]["metadata"]["labels"].get(POOL_LABEL) in gpu_pools
    ]
    assert on_gpu, "nothing is on a GPU node: the test would pass without showing anything"
    assert {p["metadata"]["labels"].get(SERVICE_LABEL) for p in on_gpu} == {
        m.name for m in settings.enabled_models
    }


def test_network_policies_find_the_pods_that_they_are_about(api: Api, settings: Settings) -> None:
    """The labels are ours, and KServe's real controller hands them on."""
    for model in settings.enabled_models:
        policy = api.get("networking.k8s.io/v1", "NetworkPolicy", f"{model.name}-network", settings.namespace)
        assert policy is not None
        labels = policy["spec"]["podSelector"]["matchLabels"]
        found = api.list("v1", "Pod", settings.namespace, ",".join(f"{k}={v}" for k, v in labels.items()))
        assert found
        assert {p["metadata"]["labels"][SERVICE_LABEL] for p in found} == {model.name}


def test_two_moe_replicas_share_one_p4d(api: Api, settings: Settings) -> None:
    pods = model_pods(api, settings, "qwen3-235b-a22b")
    nodes = places(api, pods)
    assert len(pods) == 2
    assert {n["metadata"]["labels"]["node.kubernetes.io/instance-type"] for n in nodes} == {"p4d.24xlarge"}
    assert len({n["metadata"]["name"] for n in nodes}) == 1


def test_replicas_of_the_core_model_are_in_two_zones(api: Api, settings: Settings) -> None:
    zones = Counter(
        n["metadata"]["labels"][ZONE_LABEL] for n in places(api, model_pods(api, settings, "qwen-7b-vllm"))
    )
    assert len(zones) == 2
    assert max(zones.values()) - min(zones.values()) <= 1


def test_a_pod_that_tolerates_the_taint_without_asking_for_a_gpu_is_refused(api: Api) -> None:
    with pytest.raises(ApiError, match=r"asks for no GPU.*set a limit for nvidia\.com/gpu") as refusal:
        api.create(pod("intruder"))
    assert refusal.value.code == 403


def test_a_pod_that_tolerates_everything_without_asking_for_a_gpu_is_refused(api: Api) -> None:
    with pytest.raises(ApiError, match="asks for no GPU"):
        api.create(pod("intruder", tolerations=[{"operator": "Exists"}]))


def test_a_pod_that_asks_for_a_gpu_is_admitted(api: Api) -> None:
    api.create(pod("with-gpu", gpus=1, nodeSelector={"nowhere": "true"}))
    api.delete("v1", "Pod", "with-gpu", "default")


def test_a_pod_without_the_toleration_is_admitted_and_kept_off_gpu_nodes(
    api: Api, settings: Settings
) -> None:
    api.create(pod("plain", tolerations=[]))
    assert wait_until(
        lambda: has_condition(api.get("v1", "Pod", "plain", "default") or {}, "Ready"), seconds=30
    )
    (node,) = places(api, [api.get("v1", "Pod", "plain", "default") or {}])
    api.delete("v1", "Pod", "plain", "default")
    assert node["metadata"]["labels"][POOL_LABEL] not in {p.name for p in settings.gpu_pools}


def test_an_agent_on_the_list_is_admitted(api: Api) -> None:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "aws-node", "namespace": "kube-system"},
    }
    api.apply(account)
    api.create(pod("agent", namespace="kube-system", account="aws-node"))
    api.delete("v1", "Pod", "agent", "kube-system")
    api.delete("v1", "ServiceAccount", "aws-node", "kube-system")


def test_an_agent_s_account_in_another_namespace_is_refused(api: Api) -> None:
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "aws-node", "namespace": "default"},
        }
    )
    try:
        with pytest.raises(ApiError, match="asks for no GPU"):
            api.create(pod("impostor", account="aws-node"))
    finally:
        api.delete("v1", "ServiceAccount", "aws-node", "default")


def test_deleting_a_node_brings_its_replicas_back_elsewhere(
    local: Checkout, api: Api, settings: Settings
) -> None:
    before = model_pods(api, settings, "qwen-7b-vllm")
    lost = before[0]["spec"]["nodeName"]
    api.delete("v1", "Node", lost)

    def recovered() -> bool:
        pods = model_pods(api, settings, "qwen-7b-vllm")
        return len(pods) == len(before) and lost not in {p["spec"]["nodeName"] for p in pods}

    try:
        assert wait_until(recovered, seconds=RECOVERY_SECONDS, every=0.5)
        zones = {
            n["metadata"]["labels"][ZONE_LABEL]
            for n in places(api, model_pods(api, settings, "qwen-7b-vllm"))
        }
        assert len(zones) == 2
    finally:
        assert "1 new" in local.vp("cluster", "up", "local")


def test_deleting_a_node_s_pods_brings_them_back(api: Api, settings: Settings) -> None:
    before = model_pods(api, settings, "qwen3-235b-a22b")
    gone = {p["metadata"]["uid"] for p in before}
    for p in before:
        api.delete("v1", "Pod", p["metadata"]["name"], settings.namespace)

    def recovered() -> bool:
        pods = model_pods(api, settings, "qwen3-235b-a22b")
        return len(pods) == len(before) and not gone & {p["metadata"]["uid"] for p in pods}

    assert wait_until(recovered, seconds=RECOVERY_SECONDS, every=0.5)


def test_vp_cluster_nodes_shows_gpus_used_and_free(local: Checkout) -> None:
    rows = [line for line in local.vp("cluster", "nodes", "local").splitlines() if "p4d.24xlarge" in line]
    assert len(rows) == 1
    assert [cell.strip() for cell in rows[0].strip("│ ").split("│")] == [
        "a100",
        "us-east-1a",
        "p4d.24xlarge",
        "1",
        "1",
        "2",
        "8",
        "8",
        "0",
    ]


def test_bringing_nodes_in_line_leaves_those_that_fit(local: Checkout) -> None:
    wanted = sum(pool.max for pool in local.settings("local").pools)
    assert f"0 new, 0 replaced, 0 removed, {wanted} unchanged" in local.vp("cluster", "up", "local")
