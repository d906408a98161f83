"""Weights and images on a real control plane: a claim that a Job fills before its model starts, adapters, images on nodes.

What the Job runs is tested by itself.
"""

from collections.abc import Iterator
from typing import Any, Final, cast

import pytest

from components.image_prepull import SUFFIX
from components.weight_fill import job_name
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError, Object, conditions
from rehearsal.cluster.nodes import pod_gpus
from settings.pools import POOL_LABEL
from tests.rehearsal.conftest import Checkout, make_checkout, rehearsed

pytestmark = pytest.mark.rehearsal

MODEL: Final = "qwen3-embedding"
NAMESPACE: Final = f"llm-prod{SUFFIX}"
WEIGHTS: Final = {
    "kind": "cache",
    "claim": "pvc-nfs-models",
    "mount_path": "/mnt/models",
    "fill": {"kind": "job"},
}
STORAGE: Final = {
    "shared": {"kind": "nfs", "server": "nfs.invalid", "path": "/models"},
    "fetch": {"image": {"repository": "llm/vllm-fetch", "tag": "v1.0"}, "hub_token_secret": "hub-token"},
}
CHAT: Final = "qwen-7b-vllm"
ADAPTER: Final = {"name": "support-de", "path": "/opt/adapters/support-de", "rank": 16}
NEWER: Final = "0123456789abcdef0123456789abcdef01234567"


def _change(checkout: Checkout, section: str, name: str, **changes: object) -> None:
    """Change one model or pool of the stack."""
    items = cast("list[dict[str, Any]]", checkout.section("local", section))
    checkout.change("local", section, [item | changes if item["name"] == name else item for item in items])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in which the stack `local`, with one model on a filled claim and one with an adapter, was rehearsed."""
    made = make_checkout(tmp_path_factory.mktemp("filled") / "checkout")
    made.change("local", "storage", STORAGE)
    _change(made, "models", MODEL, weights=WEIGHTS)
    _change(made, "models", CHAT, engine={"max_num_seqs": 16, "adapters": [ADAPTER]})
    _change(made, "pools", "a10", prepull={"kind": "on"})
    with rehearsed(made):
        yield made


@pytest.fixture
def api(filled: Checkout) -> Iterator[Api]:
    with lifecycle.connect(filled.layout("local")) as connection:
        yield connection


def _jobs(api: Api) -> list[Object]:
    return api.list("batch/v1", "Job", "llm-prod")


def _service(api: Api) -> Object:
    found = api.get("serving.kserve.io/v1beta1", "InferenceService", MODEL, "llm-prod")
    assert found is not None
    return found


def _revision(filled: Checkout) -> str:
    (model,) = [model for model in filled.settings("local").models if model.name == MODEL]
    return model.revision


def test_the_job_is_done_before_the_model_is_made(filled: Checkout, api: Api) -> None:
    (job,) = _jobs(api)
    assert job["metadata"]["name"] == job_name(MODEL, _revision(filled))
    assert "Complete" in {c["type"] for c in conditions(job) if c["status"] == "True"}
    assert job["status"]["completionTime"] <= _service(api)["metadata"]["creationTimestamp"]


def test_its_pod_ran_away_from_gpus(filled: Checkout, api: Api) -> None:
    (pod,) = api.list("v1", "Pod", "llm-prod", "app.kubernetes.io/name=weight-fill")
    node = api.get("v1", "Node", pod["spec"]["nodeName"])
    assert node is not None
    gpu_pools = {pool.name for pool in filled.settings("local").gpu_pools}
    assert node["metadata"]["labels"][POOL_LABEL] not in gpu_pools
    assert pod["status"]["phase"] == "Succeeded"


def test_every_node_of_the_pool_has_a_pod_with_its_images_and_none_of_its_gpus(
    filled: Checkout, api: Api
) -> None:
    (pulled,) = api.list("apps/v1", "DaemonSet", NAMESPACE)
    pods = api.list("v1", "Pod", NAMESPACE)
    nodes = api.list("v1", "Node", labels=f"{POOL_LABEL}=a10")
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == sorted(
        node["metadata"]["name"] for node in nodes
    )
    assert pulled["status"]["numberAvailable"] == len(nodes) > 1
    settings = filled.settings("local")
    (chat,) = [model for model in settings.models if model.name == CHAT]
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        assert container["image"] == settings.image_reference(chat)
        assert pod_gpus(pod) == 0


def test_images_are_on_the_nodes_before_a_model_is_made(api: Api) -> None:
    (pulled,) = api.list("apps/v1", "DaemonSet", NAMESPACE)
    service = api.get("serving.kserve.io/v1beta1", "InferenceService", CHAT, "llm-prod")
    assert service is not None
    assert pulled["metadata"]["creationTimestamp"] <= service["metadata"]["creationTimestamp"]
    assert "support-de=/opt/adapters/support-de" in service["spec"]["predictor"]["containers"][0]["args"]


def test_nobody_else_comes_to_gpu_nodes_by_the_same_way(api: Api) -> None:
    """What is no DaemonSet's is refused in that namespace too."""
    (pod, *_) = api.list("v1", "Pod", NAMESPACE)
    own = {key: pod["spec"][key] for key in ("containers", "tolerations", "securityContext")}
    for container in own["containers"]:
        container.pop("volumeMounts", None)
    copied = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "copied", "namespace": NAMESPACE},
        "spec": own,
    }
    with pytest.raises(ApiError, match="asks for no GPU"):
        api.create(copied)


def test_a_second_run_changes_nothing(filled: Checkout) -> None:
    filled.pulumi("local", "preview", "--expect-no-changes", "--non-interactive")


def test_another_revision_is_another_job_and_then_other_replicas(filled: Checkout, api: Api) -> None:
    first, before = _revision(filled), _service(api)
    _change(filled, "models", MODEL, revision=NEWER)
    try:
        filled.vp("rehearse", "local")
        (job,) = _jobs(api)
        assert job["metadata"]["name"] == job_name(MODEL, NEWER)
        args = _service(api)["spec"]["predictor"]["containers"][0]["args"]
        assert args[0] != before["spec"]["predictor"]["containers"][0]["args"][0]
        assert args[0].endswith(NEWER)
    finally:
        _change(filled, "models", MODEL, revision=first)
