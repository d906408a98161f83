"""A stopped model in the graph of a whole stack: what is left of it, and what stands in its place."""

from pathlib import Path
from typing import Any, Final

import pytest

from components.common_api import ROUTE
from ops.program_graph import ProgramGraph, program_graph
from tests.made_stacks import made_stack, sections_of

pytestmark = pytest.mark.graph

MODEL: Final = "qwen-7b-vllm"


@pytest.fixture(scope="module")
def stopped(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ProgramGraph:
    models: list[dict[str, Any]] = sections_of(root, "local")["models"]
    for model in models:
        if model["name"] == MODEL:
            model |= {"stopped": True, "autoscaling": {"kind": "keda", "min": 1, "max": 4}}
    addons = {
        "gateway_api": "existing",
        "envoy_gateway": "existing",
        "keda": "existing",
        "prometheus": "existing",
    }
    sections = {
        "models": models,
        "addons": addons,
        "observability": {"prometheus_url": "http://prometheus:9090"},
    }
    return program_graph(
        "stopped", made_stack(root, tmp_path_factory.mktemp("stopped"), "stopped", "local", sections)
    )


def _of(graph: ProgramGraph, kind: str) -> dict[str, Any]:
    found = [node["inputs"] for node in graph.resources if node["inputs"].get("kind") == kind]
    return {each["metadata"]["name"]: each for each in found}


def _models(graph: ProgramGraph) -> list[dict[str, Any]]:
    """The metadata of every model's route."""
    return [each["metadata"] for name, each in _of(graph, "HTTPRoute").items() if name != ROUTE]


def test_its_pods_go_and_the_rest_stays(stopped: ProgramGraph) -> None:
    others = {"qwen3-235b-a22b", "qwen3-embedding"}
    assert set(_of(stopped, "InferenceService")) == set(_of(stopped, "HTTPRoute")) - {MODEL, ROUTE} == others
    assert {f"{name}-predictor" for name in others} == set(_of(stopped, "Deployment"))
    assert MODEL in _of(stopped, "PodDisruptionBudget")
    assert MODEL in _of(stopped, "ServiceAccount")
    scaler = _of(stopped, "ScaledObject")[MODEL]
    assert scaler["metadata"]["annotations"] == {"autoscaling.keda.sh/paused": "true"}


def test_its_route_leads_to_an_answer_and_to_no_service_that_is_not_there(stopped: ProgramGraph) -> None:
    (rule,) = _of(stopped, "HTTPRoute")[MODEL]["spec"]["rules"]
    (answer,) = [one["extensionRef"] for one in rule["filters"]]
    assert "backendRefs" not in rule
    found = _of(stopped, answer["kind"])[answer["name"]]
    assert found["apiVersion"].startswith(f"{answer['group']}/")
    assert found["spec"] == {"directResponse": {"statusCode": 503}}
    assert set(_of(stopped, answer["kind"])) & {model["name"] for model in _models(stopped)} == {MODEL}
