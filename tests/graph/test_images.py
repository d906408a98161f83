"""Images in the graph of a whole stack: what is built, after what, and what a model runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.program_graph import ProgramGraph
from ops.recorder import HIDDEN, UNKNOWN
from settings import Settings
from settings.cluster import RehearsalCluster

pytestmark = pytest.mark.graph

BUILD = "docker-build:index:Image"


@pytest.fixture
def builds(graph: ProgramGraph) -> dict[str, Mapping[str, Any]]:
    """Every build, by the name that it pushes."""
    return {node["inputs"]["tags"][0]: node for node in graph.resources if node["type"] == BUILD}


def _service(graph: ProgramGraph, model: str) -> Mapping[str, Any]:
    (found,) = [node for node in graph.resources if node["name"] == f"{model}-inference"]
    return found


def test_exactly_what_the_settings_ask_for_is_built(
    builds: dict[str, Mapping[str, Any]], settings: Settings
) -> None:
    rehearsed = isinstance(settings.cluster, RehearsalCluster)
    asked = {settings.image_reference(m) for m in settings.enabled_models if m.image.is_built}
    assert set(builds) == (set() if rehearsed else asked)


def test_prod_builds_nothing_and_dev_builds_all(
    builds: dict[str, Mapping[str, Any]], settings: Settings, each_stack: str
) -> None:
    if each_stack not in {"dev", "prod"}:
        pytest.skip("neither dev nor prod")
    assert len(builds) == (len(settings.enabled_models) if each_stack == "dev" else 0)


def test_a_model_runs_the_digest_of_its_own_build(
    graph: ProgramGraph, builds: dict[str, Mapping[str, Any]], settings: Settings
) -> None:
    if not builds:
        pytest.skip("this stack builds nothing")
    for model in settings.enabled_models:
        service = _service(graph, model.name)
        image = service["inputs"]["spec"]["predictor"]["containers"][0]["image"]
        assert image == UNKNOWN, "the digest is known after the push alone"
        assert builds[settings.image_reference(model)]["urn"] in service["dependencies"]


def test_a_build_waits_for_its_repository_and_shows_no_password(
    graph: ProgramGraph, builds: dict[str, Mapping[str, Any]], settings: Settings
) -> None:
    if not builds or not settings.owns_registry:
        pytest.skip("this stack builds nothing for a registry of its own")
    by_urn = {node["urn"]: node for node in graph.resources}
    for build in builds.values():
        before = {by_urn[urn]["type"] for urn in build["dependencies"]}
        assert "aws:ecr/repository:Repository" in before
        (login,) = build["inputs"]["registries"]
        assert login["address"] == settings.registry.host
        assert login["password"] == HIDDEN


def test_what_is_built_from_is_there(builds: dict[str, Mapping[str, Any]], root: Path) -> None:
    if not builds:
        pytest.skip("this stack builds nothing")
    for build in builds.values():
        assert (root / build["inputs"]["dockerfile"]["location"]).is_file()
        assert (root / build["inputs"]["context"]["location"]).is_dir()
