"""Every custom resource of every stack, on a real API server that knows the real kinds: no field that they do not know.

The whole program is recorded and each of its objects is sent as a trial with strict validation. Objects of kinds that no
module at hand carries are named below.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, cast

import pytest

from ops.program_graph import program_graph
from ops.recorder import UNKNOWN
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.definitions import SOURCES, define
from tests.made_stacks import EVERYTHING, made_stack
from tests.rehearsal.conftest import REPOSITORY, tools

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
# The AWS Load Balancer Controller is no module that a proxy carries.
WITHOUT_DEFINITION: Final = {"elbv2.k8s.aws/v1beta1"}
STACKS: Final = ("dev", "local", "prod", "staging", "everything")
# What AWS would answer, by the field of which it is the id.
IDS: Final = {"subnetSelectorTerms": "subnet-0", "securityGroupSelectorTerms": "sg-0"}
EXPECTED_GROUPS: Final = {
    "barmancloud.cnpg.io",
    "cert-manager.io",
    "gateway.envoyproxy.io",
    "gateway.networking.k8s.io",
    "karpenter.k8s.aws",
    "karpenter.sh",
    "monitoring.coreos.com",
    "postgresql.cnpg.io",
    "serving.kserve.io",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A cluster that knows the kinds of every add-on, and runs none."""
    layout = ClusterLayout(project_root=tmp_path_factory.mktemp("kinds"), name="bare")
    try:
        lifecycle.up(layout, tools(), lambda _: None, with_kserve=False)
        with lifecycle.connect(layout) as connection:
            assert define(connection, tools(), SOURCES) > 80
            yield connection
    finally:
        lifecycle.down(layout)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Object]:
    """The custom resources of all stacks, by stack and name."""
    folder = made_stack(REPOSITORY, tmp_path_factory.mktemp("made"), "everything", "prod", EVERYTHING)
    found: dict[str, Object] = {}
    for stack in STACKS:
        root = folder if stack == "everything" else REPOSITORY
        for node in program_graph(stack, root).resources:
            document: Mapping[str, Any] = node["inputs"]
            version = str(document.get("apiVersion", ""))
            if _is_custom(version) and version not in WITHOUT_DEFINITION:
                found[f"{stack}: {document['kind']} {node['name']}"] = _known(dict(document))
    return found


def _is_custom(version: str) -> bool:
    """Tell whether an API is no part of Kubernetes: those have groups without a dot, or below k8s.io."""
    group = version.rpartition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group.startswith("gateway."))


def _known(value: Any, place: str = "") -> Any:  # noqa: ANN401 - JSON values
    """Put a word in the place of what only a deployment can tell. Ids of AWS are checked for their form."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _known(inner, place if key == "id" else key) for key, inner in items}
    if isinstance(value, list):
        return [_known(inner, place) for inner in cast("list[Any]", value)]
    if isinstance(value, str):
        return value.replace(UNKNOWN, IDS.get(place, "known-later"))
    return value


def _apply(api: Api, document: Object) -> None:
    """Send it as a trial: nothing is stored. A field that the definition does not know is an error."""
    group, _, version = document["apiVersion"].partition("/")
    resources = api.fetch(f"/apis/{group}/{version}")["resources"]
    (kind,) = [r for r in resources if r["kind"] == document["kind"] and "/" not in r["name"]]
    metadata = document["metadata"]
    place = "namespaces/default/" if kind["namespaced"] else ""
    # In a namespace that is there: a trial makes none.
    trial = {**document, "metadata": {**metadata, "namespace": "default"} if place else metadata}
    api._json(  # pyright: ignore[reportPrivateUsage]
        "PATCH",
        f"/apis/{group}/{version}/{place}{kind['name']}/{metadata['name']}",
        params={"fieldManager": "test", "force": "true", "fieldValidation": "Strict", "dryRun": "All"},
        content=json.dumps(trial).encode(),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def test_all_groups_are_met(objects: dict[str, Object]) -> None:
    """Else the next test would guard less than it says."""
    groups = {each["apiVersion"].partition("/")[0] for each in objects.values()}
    assert groups == EXPECTED_GROUPS


def test_the_real_kinds_take_every_object_as_it_is(api: Api, objects: dict[str, Object]) -> None:
    refused: dict[str, str] = {}
    for name, document in objects.items():
        try:
            _apply(api, document)
        except ApiError as error:
            refused[name] = error.message
    assert refused == {}


def test_a_misspelt_field_is_refused_in_an_object_of_every_group(
    api: Api, objects: dict[str, Object]
) -> None:
    by_group = {each["apiVersion"].partition("/")[0]: each for each in objects.values()}
    for document in by_group.values():
        broken = deepcopy(document)
        broken["spec"]["mispelt"] = True
        with pytest.raises(ApiError, match=re.escape("mispelt")):
            _apply(api, broken)
