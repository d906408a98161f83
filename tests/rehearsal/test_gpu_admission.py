"""The admission rule of GPU nodes on a real API server: who may tolerate their taint, case by case."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.node_agents import AGENTS_ALLOWED, AGENTS_LABEL, DAEMONSET_CONTROLLERS, DCGM_EXPORTER
from ops.render import render
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError, wait_until
from rehearsal.cluster.layout import ClusterLayout
from tests.rehearsal.conftest import REPOSITORY, tools

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
RULE_SECONDS: Final = 30.0
FORBIDDEN: Final = 403
TENANT, TRUSTED = "tenant", "trusted-agents"
DAEMONSETS: Final = DAEMONSET_CONTROLLERS[0]
TAINT: Final = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
EVERYTHING: Final = {"operator": "Exists"}
ONE_GPU: Final = {"nvidia.com/gpu": "1"}


def _pod(
    namespace: str = TENANT,
    tolerations: Sequence[Mapping[str, str]] = (TAINT,),
    *,
    limits: Mapping[str, str] | None = None,
    init_limits: Mapping[str, str] | None = None,
    account: str = "default",
) -> Object:
    spec: Object = {
        "tolerations": list(tolerations),
        "containers": [{"name": "main", "image": "none", "resources": {"limits": limits or {}}}],
        "serviceAccountName": account,
    }
    if init_limits:
        spec["initContainers"] = [{"name": "first", "image": "none", "resources": {"limits": init_limits}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod", "namespace": namespace},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A bare cluster in which only the rule is in force."""
    folder = tmp_path_factory.mktemp("admission")
    render("local", REPOSITORY, folder / "render")
    layout = ClusterLayout(project_root=folder, name="bare")
    try:
        lifecycle.up(layout, tools(), lambda _: None, with_kserve=False)
        with lifecycle.connect(layout) as connection:
            _prepare(connection, folder / "render" / "kubernetes")
            yield connection
    finally:
        lifecycle.down(layout)


def _prepare(api: Api, rendered: Path) -> None:
    labels = {TENANT: {}, TRUSTED: {AGENTS_LABEL: AGENTS_ALLOWED}, DCGM_EXPORTER.namespace: {}}
    for name, own in labels.items():
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own}})
    accounts = [(name, "default") for name in labels] + [
        ("kube-system", "default"),
        (DCGM_EXPORTER.namespace, DCGM_EXPORTER.service_account),
    ]
    for namespace, name in accounts:
        metadata = {"name": name, "namespace": namespace}
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    for path in rendered.glob("validatingadmissionpolicy*.yaml"):
        document = yaml.safe_load(path.read_text())
        plural = (
            "validatingadmissionpolicies"
            if document["kind"].endswith("Policy")
            else "validatingadmissionpolicybindings"
        )
        address = f"/apis/{document['apiVersion']}/{plural}/{document['metadata']['name']}"
        api.apply_bytes(address, json.dumps(document).encode())
    assert wait_until(lambda: _refusal(api, _pod()) != "", seconds=RULE_SECONDS)


def _refusal(api: Api, pod: Object, user: str = "") -> str:
    """Create the pod as a trial, nothing is stored, and return the refusal or an empty text."""
    headers = {"Impersonate-User": user} if user else {}
    address = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
    try:
        api._json("POST", address, json=pod, params={"dryRun": "All"}, headers=headers)  # pyright: ignore[reportPrivateUsage]
    except ApiError as error:
        if error.code != FORBIDDEN or "asks for no GPU" not in error.message:
            raise
        return error.message
    return ""


def test_the_api_server_finds_nothing_to_warn_of_in_the_expressions(api: Api) -> None:
    def status() -> Object:
        (policy,) = api.list("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy")
        return policy.get("status", {})

    assert wait_until(lambda: "typeChecking" in status(), seconds=RULE_SECONDS)
    assert status()["typeChecking"] == {}


@pytest.mark.parametrize(
    "toleration",
    [
        {**TAINT, "operator": "Equal"},
        TAINT,
        {"key": "dedicated", "value": "gpu"},
        {"key": "dedicated", "operator": "Exists"},
        {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"},
        EVERYTHING,
        {**EVERYTHING, "effect": "NoSchedule"},
    ],
    ids=json.dumps,
)
def test_whoever_tolerates_the_taint_and_asks_for_no_gpu_is_refused(
    api: Api, toleration: Mapping[str, str]
) -> None:
    assert _refusal(api, _pod(tolerations=[toleration]))
    assert _refusal(api, _pod(tolerations=[{"key": "other", "operator": "Exists"}, toleration]))


@pytest.mark.parametrize(
    "tolerations",
    [
        [],
        [{"key": "dedicated", "value": "cpu"}],
        [{"key": "dedicated"}],
        [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        [{**TAINT, "effect": "NoExecute"}],
        [{**EVERYTHING, "effect": "NoExecute"}],
    ],
    ids=json.dumps,
)
def test_whoever_does_not_tolerate_the_taint_is_none_of_the_rule_s_business(
    api: Api, tolerations: Sequence[Mapping[str, str]]
) -> None:
    assert _refusal(api, _pod(tolerations=tolerations)) == ""


def test_a_gpu_in_any_container_is_enough_and_zero_is_none(api: Api) -> None:
    assert _refusal(api, _pod(limits=ONE_GPU)) == ""
    assert _refusal(api, _pod(init_limits=ONE_GPU)) == ""
    assert _refusal(api, _pod(limits={"nvidia.com/gpu": "0"}))
    assert _refusal(api, _pod(limits={"cpu": "1", "memory": "1Gi"}))


def test_a_listed_agent_is_known_by_namespace_and_account_together(api: Api) -> None:
    agent = _pod(DCGM_EXPORTER.namespace, [EVERYTHING], account=DCGM_EXPORTER.service_account)
    assert _refusal(api, agent) == ""
    assert _refusal(api, _pod(DCGM_EXPORTER.namespace, [EVERYTHING]))


def test_agents_of_the_cluster_itself_come_from_the_daemonset_controller(api: Api) -> None:
    assert _refusal(api, _pod("kube-system", [EVERYTHING]), DAEMONSETS) == ""
    assert _refusal(api, _pod("kube-system", [EVERYTHING]))


def test_another_namespace_has_agents_only_where_an_administrator_says_so(api: Api) -> None:
    assert _refusal(api, _pod(TRUSTED, [EVERYTHING]), DAEMONSETS) == ""
    assert _refusal(api, _pod(TRUSTED, [EVERYTHING]))
    assert _refusal(api, _pod(TENANT, [EVERYTHING]), DAEMONSETS)


def test_a_toleration_can_not_be_added_later(api: Api) -> None:
    def update(pod: Object) -> None:
        del pod["metadata"]["resourceVersion"]  # the scheduler writes to the pod at the same time
        api._json("PUT", f"/api/v1/namespaces/{TENANT}/pods/pod", json=pod)  # pyright: ignore[reportPrivateUsage]

    pod = api.create(_pod(tolerations=[]))
    try:
        pod["metadata"]["labels"] = {"changed": "true"}
        update(pod)
        changed = api.get("v1", "Pod", "pod", TENANT)
        assert changed is not None
        changed["spec"]["tolerations"].append(dict(EVERYTHING))
        with pytest.raises(ApiError, match="asks for no GPU"):
            update(changed)
    finally:
        api.delete("v1", "Pod", "pod", TENANT)
