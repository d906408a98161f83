"""What a recorded resource waits for."""

from collections.abc import Iterable, Mapping
from typing import Any

from ops.recorder import Recorder


def before(recorder: Recorder, urn: str) -> set[str]:
    """Return the URNs of all that must be there before a resource: what it reads, its provider, and what those wait for."""
    return _before({r.urn: (r.dependencies, r.provider) for r in recorder.registrations}, urn)


def before_urn(nodes: Iterable[Mapping[str, Any]], urn: str) -> set[str]:
    """Return the same of a program's graph."""
    return _before({node["urn"]: (node["dependencies"], node["provider"]) for node in nodes}, urn)


def _before(waits: Mapping[str, tuple[Iterable[str], str]], urn: str) -> set[str]:
    seen: set[str] = set()
    todo = [urn]
    while todo:
        dependencies, provider = waits[todo.pop()]
        for other in (*dependencies, provider):
            if other and other not in seen:
                seen.add(other)
                todo.append(other)
    return seen
