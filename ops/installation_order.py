"""What a stack's program makes, as components in the order in which they can be installed.

A component is what stands at the top of the program: a pool, an add-on, a model. It waits for another as soon as one of its
resources does. Providers are left out, they take no time: who waits for the provider of a cluster waits for what the
provider waits for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from ops.critical_path import Node, critical_path, direct_waits, is_resource

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_PREFIX: Final = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component. `level` counts from 1; `resources` are all that are in it."""

    name: str
    kind: str
    level: int
    resources: int


@dataclass(frozen=True, kw_only=True)
class InstallationOrder:
    """Components by level and name, and the arrows between them.

    edges: (first, then) by name: what would follow from others is left out, the steps of the critical path are all there.
    critical_components, critical_resources: names along the longest chain of resources, providers among the resources.
    """

    components: tuple[Component, ...]
    edges: tuple[tuple[str, str], ...]
    critical_components: tuple[str, ...]
    critical_resources: tuple[str, ...]
    critical_counts: Mapping[str, int]
    """How many resources of the chain are in each of its components."""

    @property
    def levels(self) -> list[list[Component]]:
        """Components that can go on at once, in the order of their turn."""
        return [list(level) for _, level in groupby(self.components, key=lambda one: one.level)]

    @property
    def critical_edges(self) -> set[tuple[str, str]]:
        """The steps of the critical path."""
        return set(pairwise(self.critical_components))

    def needs(self, name: str) -> list[str]:
        """Return the components that one waits for, by name."""
        return [first for first, then in self.edges if then == name]


def installation_order(resources: Iterable[Node]) -> InstallationOrder:
    """Return the order in which what a program asked for can be made. Raises graphlib.CycleError."""
    recorded = list(resources)
    nodes = {node["urn"]: node for node in recorded if node["type"] != STACK_TYPE}
    top = {urn: _top(urn, nodes) for urn in nodes}
    names = _names({urn: nodes[urn] for urn in set(top.values())})
    waits = direct_waits(recorded)
    needs = _needs(nodes, top, waits)
    behind = {urn: _behind(urn, needs) for urn in needs}
    levels = _levels(behind)
    chain = critical_path(recorded)
    steps = [names[top[node["urn"]]] for node in chain if top[node["urn"]] in needs]
    critical = [name for name, _ in groupby(steps)]
    edges = {(names[first], names[then]) for then in needs for first in _direct(then, needs[then], behind)}
    sizes = Counter(top[urn] for urn, node in nodes.items() if is_resource(node))
    components = [
        Component(name=names[urn], kind=_kind(nodes[urn]), level=levels[urn], resources=sizes[urn])
        for urn in needs
    ]
    return InstallationOrder(
        components=tuple(sorted(components, key=lambda one: (one.level, one.name))),
        edges=tuple(sorted(edges | set(pairwise(critical)))),
        critical_components=tuple(critical),
        critical_resources=tuple(node["name"] for node in chain),
        critical_counts=Counter(steps),
    )


def _top(urn: str, nodes: Mapping[str, Node]) -> str:
    while (parent := nodes[urn]["parent"]) in nodes:
        urn = parent
    return urn


def _kind(node: Node) -> str:
    return node["type"].rpartition(":")[2]


def _names(tops: Mapping[str, Node]) -> dict[str, str]:
    """Return the logical name of each, with its kind where several have that name."""
    seen = Counter(node["name"] for node in tops.values())
    return {
        urn: node["name"] if seen[node["name"]] == 1 else f"{node['name']} ({_kind(node)})"
        for urn, node in tops.items()
    }


def _needs(
    nodes: Mapping[str, Node], top: Mapping[str, str], waits: Mapping[str, set[str]]
) -> dict[str, set[str]]:
    """Return what each component waits for, past providers. By URN, in the order of URNs."""
    direct: dict[str, set[str]] = {urn: set() for urn in sorted(set(top.values()))}
    for urn in nodes:
        direct[top[urn]] |= {top[other] for other in waits[urn]}

    def past_providers(urns: Iterable[str]) -> Iterator[str]:
        for urn in urns:
            if _is_provider(nodes[urn]):
                yield from past_providers(direct[urn])
            else:
                yield urn

    return {
        urn: set(past_providers(others)) - {urn}
        for urn, others in direct.items()
        if not _is_provider(nodes[urn])
    }


def _is_provider(node: Node) -> bool:
    return node["type"].startswith(PROVIDER_PREFIX)


def _behind(urn: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Return everything that must be there before a component."""
    found: set[str] = set()
    todo = [urn]
    while todo:
        new = needs[todo.pop()] - found
        found |= new
        todo += new
    return found


def _levels(behind: Mapping[str, set[str]]) -> dict[str, int]:
    """Return how many components must come one after the other, up to and with each.

    Two components may each have a resource that waits for one of the other's. They share a level then.
    """
    levels: dict[str, int] = {}
    for urn in sorted(behind, key=lambda one: len(behind[one] - {one})):
        before = [other for other in behind[urn] if urn not in behind[other]]
        levels[urn] = 1 + max((levels[other] for other in before), default=0)
    return levels


def _direct(urn: str, needs: set[str], behind: Mapping[str, set[str]]) -> set[str]:
    """Return the needs of a component that do not follow from its other needs."""
    implied = {
        need
        for need in needs
        for other in needs - {need}
        if need in behind[other] and other not in behind[need] and urn not in behind[other]
    }
    return needs - implied
