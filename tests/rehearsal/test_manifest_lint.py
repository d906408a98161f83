"""kube-score over every object of prod, and over a pod of every kind that the program makes: no finding without a reason.

The reasons stand in tests/data/manifest_findings.yaml. A model is looked at as the Deployment that KServe makes of it.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from ops.program_graph import program_graph
from ops.render import is_patch
from tests.rehearsal.conftest import REPOSITORY, tools
from tests.zero_trust.stacks import NAME, every_pod_stack

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
REASONS: Final = REPOSITORY / "tests" / "data" / "manifest_findings.yaml"
OPTIONAL: Final = ("container-seccomp-profile", "container-ports-check")
BEST: Final = 10


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check that one object does not pass."""

    check: str
    kind: str
    name: str


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The objects of both stacks, as they are on a cluster."""
    made = every_pod_stack(REPOSITORY, tmp_path_factory.mktemp("made"))
    found: list[Object] = []
    for stack, root in (("prod", REPOSITORY), (NAME, made)):
        for node in program_graph(stack, root).resources:
            document: Object = deepcopy(dict(node["inputs"]))
            if "apiVersion" in document and "kind" in document and not is_patch(node):
                if stack == NAME:
                    _apart(document)
                found += _of_kserve(document) if document["kind"] == "InferenceService" else [document]
    return found


def _apart(document: Object) -> None:
    """Give the second stack a namespace of its own, so that no policy or budget of one is taken for the other's."""
    space = document["metadata"].get("namespace")
    if space:
        document["metadata"]["namespace"] = f"{space}-{NAME}"


def _of_kserve(service: Object) -> list[Object]:
    """Make Deployment and Service of an InferenceService, as KServe (0.20, Standard mode) does.

    Replicas are a scaler's, where there is one.
    """
    spec = dict(service["spec"]["predictor"])
    annotations, strategy = spec.pop("annotations", {}), spec.pop("deploymentStrategy")
    least, _ = spec.pop("minReplicas", None), spec.pop("maxReplicas", None)
    name = f"{service['metadata']['name']}-predictor"
    own = {"app": f"isvc.{name}"}
    labels = {**service["metadata"]["labels"], **own}
    metadata = {"name": name, "namespace": service["metadata"]["namespace"], "labels": labels}
    port = {"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            **({"replicas": least} if least else {}),
            "strategy": strategy,
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }
    found = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    return [deployment, {**found, "spec": {"selector": own, "ports": [port]}}]


def _findings(objects: Iterable[Object], folder: Path) -> set[Finding]:
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects, sort_keys=False), encoding="utf-8")
    switches = [word for check in OPTIONAL for word in ("--enable-optional-test", check)]
    command = [str(tools().bin("kube-score")), "score", "--output-format", "json", *switches, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return {
        Finding(
            check=each["check"]["id"], kind=scored["type_meta"]["kind"], name=scored["object_meta"]["name"]
        )
        for scored in json.loads(done.stdout)
        for each in scored["checks"]
        if each["grade"] < BEST and not each["skipped"]
    }


def _reasons() -> list[Object]:
    return cast("list[Object]", yaml.safe_load(REASONS.read_text(encoding="utf-8")))


def _covers(reason: Mapping[str, Any], finding: Finding) -> bool:
    return (
        reason["check"] == finding.check
        and finding.kind in reason["kinds"]
        and finding.name in reason.get("names", [finding.name])
    )


@pytest.fixture(scope="module")
def found(objects: list[Object], tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    return _findings(objects, tmp_path_factory.mktemp("lint"))


def test_there_is_something_of_every_kind_to_look_at(objects: list[Object]) -> None:
    kinds = {each["kind"] for each in objects}
    assert {"Deployment", "Job", "DaemonSet", "NetworkPolicy", "PodDisruptionBudget"} <= kinds


def test_nothing_is_found_without_a_reason(found: set[Finding]) -> None:
    reasons = _reasons()
    left = [each for each in found if not any(_covers(reason, each) for reason in reasons)]
    assert sorted(left, key=str) == []


def test_every_reason_is_of_something_that_is_found(found: set[Finding]) -> None:
    """Of each of its kinds and names, so that none is left over that would hide what comes later."""
    for reason in _reasons():
        assert set(reason) <= {"check", "kinds", "names", "reason"}
        assert len(reason["reason"]) > 40, reason
        covered = [each for each in found if _covers(reason, each)]
        assert {each.kind for each in covered} == set(reason["kinds"]), reason["check"]
        if "names" in reason:
            assert {each.name for each in covered} == set(reason["names"]), reason["check"]


@pytest.mark.parametrize(
    ("kind", "change", "check"),
    [
        ("Deployment", {"securityContext": {"privileged": True}}, "container-security-context-privileged"),
        (
            "Deployment",
            {"securityContext": {"readOnlyRootFilesystem": False}},
            "container-security-context-readonlyrootfilesystem",
        ),
        ("Job", {"resources": {}}, "container-resources"),
        ("DaemonSet", {"image": "registry.invalid/vllm:latest"}, "container-image-tag"),
        ("Deployment", {"readinessProbe": None}, "pod-probes"),
    ],
)
def test_what_is_wrong_is_found(
    objects: list[Object], tmp_path: Path, kind: str, change: Mapping[str, Any], check: str
) -> None:
    """Else the tests above would guard nothing."""
    broken = deepcopy(objects)
    target = next(each for each in broken if each["kind"] == kind)
    container = target["spec"]["template"]["spec"]["containers"][0]
    container |= change
    left = [
        each
        for each in _findings(broken, tmp_path)
        if not any(_covers(reason, each) for reason in _reasons())
    ]
    assert Finding(check=check, kind=kind, name=target["metadata"]["name"]) in left


def test_a_pod_without_network_policy_is_found(objects: list[Object], tmp_path: Path) -> None:
    open_ = [each for each in objects if each["kind"] != "NetworkPolicy"]
    assert {each.check for each in _findings(open_, tmp_path)} >= {"pod-networkpolicy"}
