"""A picture of a stack's resource graph, from the graph that `vp render` records."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops.program_graph import program_graph

_STACK = "pulumi:pulumi:Stack"


def graph_picture(stack: str, root: Path) -> str:
    """Return a Mermaid diagram: a box for each component with what it makes, an arrow from what waits to what it waits for.

    Runs the program of the stack (about 2 s).
    """
    return picture_of(program_graph(stack, root).resources)


def picture_of(resources: Iterable[Mapping[str, Any]]) -> str:
    """Return the diagram of recorded resources."""
    by_urn = {resource["urn"]: resource for resource in resources}
    boxes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for urn, resource in by_urn.items():
        if resource["type"] != _STACK:
            boxes[_box(urn, by_urn)].append(resource)
    arrows = {
        (box, _box(dependency, by_urn))
        for box, members in boxes.items()
        for member in members
        for dependency in member["dependencies"]
    }
    # Dotted, because every object has one.
    through = {(box, member["provider"]) for box, members in boxes.items() for member in members}
    lines = ["```mermaid", "graph LR"]
    lines += [f'  {_id(by_urn[box])}["{_label(by_urn[box], boxes[box])}"]' for box in sorted(boxes)]
    lines += [
        f"  {_id(by_urn[source])} --> {_id(by_urn[target])}"
        for source, target in sorted(arrows)
        if source != target
    ]
    lines += [
        f"  {_id(by_urn[source])} -.-> {_id(by_urn[target])}" for source, target in sorted(through) if target
    ]
    return "\n".join([*lines, "```"])


def _box(urn: str, by_urn: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the outermost parent below the stack."""
    while True:
        parent = by_urn[urn]["parent"]
        if not parent or parent not in by_urn or by_urn[parent]["type"] == _STACK:
            return urn
        urn = parent


def _label(box: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> str:
    kinds = Counter(_kind(member) for member in members if member is not box)
    inside = [kind if count == 1 else f"{count} x {kind}" for kind, count in sorted(kinds.items())]
    return "<br/>".join([f"<b>{_kind(box)}</b> {box['name']}", *inside])


def _kind(resource: Mapping[str, Any]) -> str:
    last = str(resource["type"]).rsplit(":", 1)[-1]
    return "Provider" if str(resource["type"]).startswith("pulumi:providers:") else last


def _id(resource: Mapping[str, Any]) -> str:
    return re.sub(r"\W", "_", f"{_kind(resource)}_{resource['name']}")
