"""The longest chain of resources that wait for each other: what an `up` from nothing can not be shorter than."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any

Node = Mapping[str, Any]


def critical_path(resources: Iterable[Node]) -> list[Node]:
    """Return the chain, from what waits for nothing to what waits longest; components and the stack are left out.

    Every resource counts as one: how long AWS takes for each is not known here. Raises graphlib.CycleError.
    """
    nodes = {node["urn"]: node for node in resources}
    # A component's inside waits for what the component waits for; who waits for a component waits for its inside.
    inside: dict[str, list[str]] = {urn: [] for urn in nodes}
    for urn, node in nodes.items():
        if node["parent"]:
            inside[node["parent"]].append(urn)
    waits = {urn: set(_waits_for(urn, nodes, inside)) for urn in nodes}
    longest: dict[str, list[Node]] = {}
    for urn in TopologicalSorter(waits).static_order():
        before = _longest(longest[other] for other in sorted(waits[urn]))
        longest[urn] = [*before, nodes[urn]] if nodes[urn]["custom"] else before
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
    if nodes[urn]["custom"]:
        yield urn
    for child in inside[urn]:
        yield from _resources_of(child, nodes, inside)
