"""The longest chain of resources that wait for each other: what an `up` from nothing can not be shorter than."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any, Final

Node = Mapping[str, Any]

CHART_TYPE: Final = "kubernetes:helm.sh/v4:Chart"
"""A chart whose objects the provider makes: a component that the program sees from outside only."""


def is_resource(node: Node) -> bool:
    """Whether somebody creates it, so that it takes time. A chart counts as one: only it knows what is in it."""
    return node["custom"] or node["type"] == CHART_TYPE


def direct_waits(resources: Iterable[Node]) -> dict[str, set[str]]:
    """Return the URNs of the resources that must be there first, by URN.

    A component's inside waits for what the component waits for; who waits for a component waits for its inside.
    """
    nodes = {node["urn"]: node for node in resources}
    inside: dict[str, list[str]] = {urn: [] for urn in nodes}
    for urn, node in nodes.items():
        if node["parent"]:
            inside[node["parent"]].append(urn)
    return {urn: set(_waits_for(urn, nodes, inside)) for urn in nodes}


def critical_path(resources: Iterable[Node]) -> list[Node]:
    """Return the chain, from what waits for nothing to what waits longest; components and the stack are left out.

    Every resource counts as one: how long AWS takes for each is not known here. Raises graphlib.CycleError.
    """
    nodes = {node["urn"]: node for node in resources}
    waits = direct_waits(nodes.values())
    longest: dict[str, list[Node]] = {}
    for urn in TopologicalSorter(waits).static_order():
        before = _longest(longest[other] for other in sorted(waits[urn]))
        longest[urn] = [*before, nodes[urn]] if is_resource(nodes[urn]) else before
    return _longest(longest[urn] for urn in sorted(longest))


def _longest(chains: Iterable[list[Node]]) -> list[Node]:
    none: list[Node] = []
    return max(chains, key=len, default=none)


def _waits_for(urn: str, nodes: Mapping[str, Node], inside: Mapping[str, list[str]]) -> Iterable[str]:
    node = nodes[urn]
    ancestor = node["parent"]
    own = [*node["dependencies"], *filter(None, [node["provider"]])]
    while ancestor:
        own += nodes[ancestor]["dependencies"]
        ancestor = nodes[ancestor]["parent"]
    for other in own:
        if other in nodes:
            yield from _resources_of(other, nodes, inside)


def _resources_of(urn: str, nodes: Mapping[str, Node], inside: Mapping[str, list[str]]) -> Iterable[str]:
    if is_resource(nodes[urn]):
        yield urn
    for child in inside[urn]:
        yield from _resources_of(child, nodes, inside)
