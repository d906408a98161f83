"""Every custom resource of every stack, on a real API server that knows the real kinds: no field that they do not know.

The whole program is recorded and each of its objects is sent as a trial with strict validation, through KServe's own webhooks. Among
the stacks is one with every ready model of the catalogue. Objects of kinds that no module at hand carries are named below.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, cast

import pytest

from ops.program_graph import program_graph
from ops.recorder import UNKNOWN
from ops.render import is_patch
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.definitions import SOURCES, define
from settings.ready_models import ready_models
from tests.made_stacks import EVERYTHING, catalogue_sections, kong_sections, made_stack
from tests.rehearsal.conftest import REPOSITORY, tools
from tests.rehearsal.discovered import address

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
# The AWS Load Balancer Controller is no module that a proxy carries.
WITHOUT_DEFINITION: Final = {"elbv2.k8s.aws/v1beta1"}
STACKS: Final = ("dev", "local", "prod", "staging", "everything", "catalogue", "kong")
BUCKET: Final = "acme-llm-dev-models"
# What AWS would answer, by the field of which it is the id.
IDS: Final = {"subnetSelectorTerms": "subnet-0", "securityGroupSelectorTerms": "sg-0"}
EXPECTED_GROUPS: Final = {
    "barmancloud.cnpg.io",
    "cert-manager.io",
    "configuration.konghq.com",
    "external-secrets.io",
    "gateway.envoyproxy.io",
    "gateway.networking.k8s.io",
    "karpenter.k8s.aws",
    "karpenter.sh",
    "keda.sh",
    "monitoring.coreos.com",
    "postgresql.cnpg.io",
    "security.istio.io",
    "serving.kserve.io",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A cluster that knows the kinds of every add-on, and runs of them KServe's controller with its webhooks."""
    layout = ClusterLayout(project_root=tmp_path_factory.mktemp("kinds"), name="bare")
    try:
        lifecycle.up(layout, tools(), lambda _: None)
        with lifecycle.connect(layout) as connection:
            assert define(connection, tools(), SOURCES) > 80
            yield connection
    finally:
        lifecycle.down(layout)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Object]:
    """The custom resources of all stacks, by stack and name."""
    folder = tmp_path_factory.mktemp("made")
    ready = catalogue_sections(ready_models(), bucket=BUCKET)
    made = {
        "everything": made_stack(REPOSITORY, folder, "everything", "prod", EVERYTHING),
        "catalogue": made_stack(REPOSITORY, tmp_path_factory.mktemp("ready"), "catalogue", "dev", ready),
        "kong": made_stack(
            REPOSITORY, tmp_path_factory.mktemp("kong"), "kong", "prod", kong_sections(REPOSITORY)
        ),
    }
    found: dict[str, Object] = {}
    for stack in STACKS:
        for node in program_graph(stack, made.get(stack, REPOSITORY)).resources:
            document: Mapping[str, Any] = node["inputs"]
            version = str(document.get("apiVersion", ""))
            if _is_custom(version) and version not in WITHOUT_DEFINITION and not is_patch(node):
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


def _apply(api: Api, document: Object) -> Object:
    """Send it as a trial and return what would be stored. A field that the definition does not know is an error."""
    # In a namespace that is there: a trial makes none.
    path = address(api, document, namespace="default")
    metadata = document["metadata"]
    trial = {
        **document,
        "metadata": {**metadata, "namespace": "default"} if "/namespaces/" in path else metadata,
    }
    return api._json(  # pyright: ignore[reportPrivateUsage]
        "PATCH",
        path,
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
        # Kinds of Kong have their fields beside `metadata`.
        broken.get("spec", broken)["mispelt"] = True
        with pytest.raises(ApiError, match=re.escape("mispelt")):
            _apply(api, broken)


def test_every_ready_model_is_taken_by_kserve_as_it_is(api: Api, objects: dict[str, Object]) -> None:
    """What its webhooks would write into one would be different at every `pulumi up`."""
    services = {
        document["metadata"]["name"]: document
        for name, document in objects.items()
        if name.startswith("catalogue: InferenceService")
    }
    assert set(services) == set(ready_models())
    for document in services.values():
        assert _apply(api, document)["spec"] == document["spec"]


def test_kserve_s_webhooks_are_asked(api: Api, objects: dict[str, Object]) -> None:
    """Else the tests before this one would guard less than they say."""
    (document, *_) = [each for each in objects.values() if each["kind"] == "InferenceService"]
    broken = deepcopy(document)
    broken["spec"]["predictor"] |= {"minReplicas": 3, "maxReplicas": 2}
    with pytest.raises(ApiError, match=r"admission webhook .*kserve"):
        _apply(api, broken)
