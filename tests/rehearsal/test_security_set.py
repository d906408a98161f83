"""`vp render --only security` on a cluster that the program did not make, and what its namespace then takes.

The API server is real, with its own admission of pod security; Istio's kinds are real. Pods are sent as trials: nothing runs.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from ops.program_graph import program_graph
from ops.render import is_patch
from ops.security_set import render_security
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError, json_bytes
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.definitions import define
from tests.rehearsal.conftest import REPOSITORY, tools
from tests.rehearsal.discovered import address
from tests.zero_trust.stacks import NAME, every_pod_stack

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
FORBIDDEN: Final = 403
MODELS, IMAGES = "llm-prod", "llm-prod-images"
# What of a predictor is no field of a pod.
OF_KSERVE: Final = {"annotations", "deploymentStrategy", "minReplicas", "maxReplicas"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of another's cluster, with a pod of every kind that the program makes among the models."""
    return every_pod_stack(REPOSITORY, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def written(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The documents of the file, in its order."""
    made = render_security(NAME, checkout, tmp_path_factory.mktemp("security") / "out")
    return list(yaml.safe_load_all(made.file.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, written: list[Object]) -> Iterator[Api]:
    """A bare cluster that knows Istio's kinds, to which the file was applied twice, document after document."""
    layout = ClusterLayout(project_root=tmp_path_factory.mktemp("theirs"), name="bare")
    try:
        lifecycle.up(layout, tools(), lambda _: None, with_kserve=False)
        with lifecycle.connect(layout) as connection:
            define(connection, tools(), ["istio-base"])
            for document in [*written, *written]:
                connection.apply_bytes(address(connection, document), json_bytes(document))
            yield connection
    finally:
        lifecycle.down(layout)


@pytest.fixture(scope="module")
def pods(checkout: Path) -> dict[str, Object]:
    """Every pod that the program makes, as the controllers of its objects make it."""
    found: dict[str, Object] = {}
    for node in program_graph(NAME, checkout).resources:
        document: Mapping[str, Any] = node["inputs"]
        match None if is_patch(node) else document.get("kind"):
            case "InferenceService":
                predictor = document["spec"]["predictor"]
                spec = {key: value for key, value in predictor.items() if key not in OF_KSERVE}
            case "Job" | "DaemonSet" | "Deployment":
                spec = document["spec"]["template"]["spec"]
            case _:
                continue
        found[f"{document['kind']} {node['name']}"] = _pod(document["metadata"]["namespace"], spec)
    return found


def _pod(namespace: str, spec: Mapping[str, Any]) -> Object:
    """Make a pod under an account that is there, with no priority: those objects are not in the set."""
    own = {k: v for k, v in spec.items() if k not in {"serviceAccountName", "priorityClassName"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": namespace},
        "spec": {"automountServiceAccountToken": False, **own},
    }


def _refusal(api: Api, pod: Object) -> str:
    """Create it as a trial, and return what the API server has against it."""
    namespace = pod["metadata"]["namespace"]
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": namespace},
    }
    api.apply(account)
    try:
        api._json(  # pyright: ignore[reportPrivateUsage]
            "POST", f"/api/v1/namespaces/{namespace}/pods", json=pod, params={"dryRun": "All"}
        )
    except ApiError as error:
        if error.code != FORBIDDEN:
            raise
        return error.message
    return ""


def test_the_set_is_in_force_as_it_was_written(api: Api, written: list[Object]) -> None:
    kinds = [document["kind"] for document in written]
    assert kinds == sorted(
        kinds, key=["Namespace", "PeerAuthentication", "AuthorizationPolicy", "NetworkPolicy"].index
    )
    assert {"PeerAuthentication", "AuthorizationPolicy", "NetworkPolicy"} < set(kinds)
    for document in written:
        found = api.fetch(address(api, document))
        assert document.get("spec", {}).items() <= found.get("spec", {}).items(), document
        labels = document["metadata"]["labels"]
        assert labels.items() <= found["metadata"]["labels"].items()


def test_of_a_mesh_that_exists_only_the_models_namespace_is_touched(written: list[Object]) -> None:
    assert {each["metadata"]["namespace"] for each in written if each["kind"] != "Namespace"} == {
        MODELS,
        IMAGES,
    }


def test_every_pod_of_the_program_passes(api: Api, pods: dict[str, Object]) -> None:
    assert {name.split()[0] for name in pods} == {"InferenceService", "Job", "DaemonSet"}
    assert {name: refusal for name, pod in pods.items() if (refusal := _refusal(api, pod))} == {}


@pytest.mark.parametrize("namespace", [MODELS, IMAGES])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pod": {"hostNetwork": True}}, "hostNetwork=true"),
        ({"pod": {"hostPID": True}}, "hostPID=true"),
        ({"volume": {"name": "x", "hostPath": {"path": "/"}}}, "hostPath"),
        ({"context": {"privileged": True, "allowPrivilegeEscalation": True}}, "privileged"),
        ({"context": {"allowPrivilegeEscalation": True}}, "allowPrivilegeEscalation"),
        ({"context": {"runAsUser": 0, "runAsNonRoot": False}}, "runAsNonRoot"),
        ({"context": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}, "SYS_ADMIN"),
        ({"context": {"capabilities": {}}}, "unrestricted capabilities"),
        ({"context": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile"),
    ],
)
def test_a_pod_with_more_rights_is_refused(
    api: Api, pods: dict[str, Object], namespace: str, changes: Mapping[str, Object], said: str
) -> None:
    """One of ours, changed in one thing: so it is that thing that is refused."""
    pod = deepcopy(next(each for each in pods.values() if each["metadata"]["namespace"] == namespace))
    pod["spec"] |= changes.get("pod", {})
    if "volume" in changes:
        pod["spec"]["volumes"] = [*pod["spec"].get("volumes", []), changes["volume"]]
    for container in cast("list[Object]", pod["spec"]["containers"]):
        container["securityContext"] |= changes.get("context", {})
    refusal = _refusal(api, pod)
    assert 'violates PodSecurity "restricted:v1.36"' in refusal
    assert said in refusal
