"""`vp render STACK --only security`: what closes a stack, by itself, for a cluster that this program does not make.

One file, namespaces first, so that `kubectl apply -f` takes it in one go. The namespaces carry their level of pod security and
the label of the mesh. Labels of pods that charts make (Prometheus, the collector) are values of those charts, and so not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.program_graph import ProgramGraph, program_graph
from ops.render import previous_files, replace_files, yaml_document

FILE: Final = "security.yaml"
NAMESPACE: Final = "Namespace"
KINDS: Final = ("PeerAuthentication", "AuthorizationPolicy", "NetworkPolicy")
_SEPARATOR: Final = "---\n"


@dataclass(frozen=True, kw_only=True)
class SecuritySet:
    """What was written. kinds: those that the file has objects of."""

    file: Path
    objects: int
    kinds: tuple[str, ...]


def render_security(stack: str, root: Path, out: Path) -> SecuritySet:
    """Write the set of a stack below `out`. Raises RenderError and ProgramError as `render` does."""
    previous = previous_files(out)
    documents = security_set(program_graph(stack, root))
    text = _SEPARATOR.join(yaml_document(document) for document in documents)
    replace_files(out, previous, {FILE: text})
    kinds = tuple(kind for kind in (NAMESPACE, *KINDS) if any(each["kind"] == kind for each in documents))
    return SecuritySet(file=out / FILE, objects=len(documents), kinds=kinds)


def security_set(graph: ProgramGraph) -> list[Mapping[str, Any]]:
    """Return the objects, in the order in which they can be applied: namespaces that others of them are in come first."""
    objects: list[Mapping[str, Any]] = [
        node["inputs"] for node in graph.resources if node["inputs"].get("kind") in {NAMESPACE, *KINDS}
    ]
    rules = [each for kind in KINDS for each in objects if each["kind"] == kind]
    used = {rule["metadata"]["namespace"] for rule in rules}
    return [
        *(each for each in objects if each["kind"] == NAMESPACE and each["metadata"]["name"] in used),
        *rules,
    ]
