"""What add-ons wait for in the whole program: what the catalogue says, and nothing that only the program's text brings about."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any, Final

import pytest

from ops.program_graph import ProgramGraph
from ops.recorder import PROVIDER_PREFIX, STACK_TYPE
from ops.render import HELM_TYPES
from settings import Settings
from settings.addon_catalogue import Unit
from settings.addon_order import install_order

pytestmark = pytest.mark.graph

Node = Mapping[str, Any]
Edges = dict[str, set[str]]
NODE_MAKERS: Final = {"karpenter", "karpenter-definitions"}
"""What makes the nodes that other add-ons run on, so that they wait for it without needing it."""


@pytest.fixture
def units(settings: Settings) -> dict[str, Unit]:
    """The units that each stack's program installs."""
    found = {unit.name: unit for unit in settings.asked.units("managed")}
    if not found:
        pytest.skip("this stack installs no add-on")
    return found


def _tops(graph: ProgramGraph) -> dict[str, str]:
    """Return the name of the outermost component of each resource."""
    by_urn: dict[str, Node] = {node["urn"]: node for node in graph.resources}

    def top(urn: str) -> str:
        node = by_urn[urn]
        parent = by_urn.get(node["parent"])
        return node["name"] if parent is None or parent["type"] == STACK_TYPE else top(parent["urn"])

    return {urn: top(urn) for urn in by_urn}


def _edges(graph: ProgramGraph) -> Edges:
    """Return what each component waits for, as its parts do: other components, and providers."""
    tops = _tops(graph)
    found: Edges = {}
    for node in graph.resources:
        if node["type"] == STACK_TYPE:
            continue
        own = tops[node["urn"]]
        wanted = {tops[urn] for urn in (*node["dependencies"], node["provider"]) if urn}
        found.setdefault(own, set()).update(wanted - {own})
    return found


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    """Return all that is waited for, directly or not."""
    found: set[str] = set()
    todo = [start]
    while todo:
        new = edges.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _declared(units: Mapping[str, Unit]) -> Edges:
    """Return what the catalogue says that each unit waits for, of those that the stack has."""
    return {name: {*unit.needs, *unit.after} & set(units) for name, unit in units.items()}


def test_every_unit_is_a_component_with_one_chart(graph: ProgramGraph, units: dict[str, Unit]) -> None:
    tops = _tops(graph)
    charts = sorted(tops[node["urn"]] for node in graph.resources if node["type"] in HELM_TYPES)
    assert charts == sorted(units)


def test_components_do_not_wait_for_each_other_in_a_circle(graph: ProgramGraph) -> None:
    """One of resources would be a circle too; of components it means that two can not be read, or moved, one by one."""
    edges = _edges(graph)
    assert len(edges) > 1
    order = list(TopologicalSorter(edges).static_order())
    assert set(order) == {*edges, *(name for wanted in edges.values() for name in wanted)}


def test_a_unit_waits_for_the_units_that_it_needs_and_for_no_other(
    graph: ProgramGraph, units: dict[str, Unit]
) -> None:
    edges = _edges(graph)
    assert {name: edges[name] & set(units) for name in units} == _declared(units)


def test_no_other_way_leads_from_one_to_another(graph: ProgramGraph, units: dict[str, Unit]) -> None:
    """By the nodes that it runs on a unit waits for what makes them, and by nothing else for what it does not need."""
    edges, declared = _edges(graph), _declared(units)
    for name in units:
        needed = _reached(name, declared)
        runs = any(units[other].runs for other in {name, *needed})
        found = _reached(name, edges) & set(units)
        assert needed <= found, name
        assert found - needed <= (NODE_MAKERS if runs else set()), name


def test_what_is_used_is_there_and_not_waited_for(graph: ProgramGraph, units: dict[str, Unit]) -> None:
    edges = _edges(graph)
    for name, unit in units.items():
        for used in unit.uses:
            if used in units:
                assert used in edges
                assert used not in edges[name]


def test_the_order_of_installation_is_that_of_the_graph_s_levels(
    graph: ProgramGraph, units: dict[str, Unit]
) -> None:
    edges = _edges(graph)
    levels: dict[str, int] = {}
    between = {name: edges[name] & set(units) for name in units}
    for name in TopologicalSorter(between).static_order():
        levels[name] = 1 + max((levels[other] for other in between[name]), default=-1)
    listed = list(units)
    expected = sorted(units, key=lambda name: (levels[name], listed.index(name)))
    assert [unit.name for unit in install_order(list(units.values()))] == expected
    assert max(levels.values()) > 0


def test_a_model_waits_for_what_serves_it(
    graph: ProgramGraph, settings: Settings, units: dict[str, Unit]
) -> None:
    edges = _edges(graph)
    tops = _tops(graph)
    models = {
        tops[node["urn"]] for node in graph.resources if node["inputs"].get("kind") == "InferenceService"
    }
    assert len(models) == len(settings.enabled_models)
    serving = {"kserve"} & set(units)
    assert [name for name in models if not serving <= _reached(name, edges)] == []
    # A model is no add-on's need: none is held up by one that does not start.
    assert [name for name in units if _reached(name, edges) & models] == []


def test_a_model_does_not_wait_for_who_measures_it(graph: ProgramGraph, settings: Settings) -> None:
    """By single objects: a component may have one part that waits, and others for which a model does."""
    # What a component waits for, its parts do.
    edges = {
        node["urn"]: {*node["dependencies"], *filter(None, [node["parent"]])} for node in graph.resources
    }
    tops = _tops(graph)
    models = [node["urn"] for node in graph.resources if node["inputs"].get("kind") == "InferenceService"]
    assert {tops[urn] for urn in models} == {model.name for model in settings.enabled_models}
    waited = {tops[urn] for model in models for urn in _reached(model, edges)}
    assert "network-rules" in waited or settings.security.rules is None
    assert "prometheus" not in waited


def test_providers_wait_for_no_add_on(graph: ProgramGraph, units: dict[str, Unit]) -> None:
    edges = _edges(graph)
    providers = [node["name"] for node in graph.resources if node["type"].startswith(PROVIDER_PREFIX)]
    assert providers
    assert [name for name in providers if _reached(name, edges) & set(units)] == []
