"""`vp render`: what a stack would deploy, written to files, without a cloud, a cluster or an engine.

- DIR/kubernetes/KIND-NAMESPACE-NAME.yaml: every Kubernetes object, as kubectl takes it; no patches, by which Pulumi waits
- DIR/helm/NAME/{chart.json,values.yaml}: every Helm release, and every chart that is rendered into plain objects
- DIR/aws/TYPE-NAME.json: the inputs of every AWS resource
- DIR/graph.json: every resource with parent, provider, dependencies and inputs
- DIR/outputs.json: what the stack exports

Secrets are written as [secret], and what only a deployment can tell as [known after deployment]. The same settings
give the same bytes.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ops.critical_path import CHART_TYPE, critical_path
from ops.program_graph import ProgramGraph, program_graph
from rehearsal.errors import UserError

MARKER: Final = ".vp-render.json"
"""Lists the files of a render, so that the next one removes those and nothing else."""
STACK_TYPE: Final = "pulumi:pulumi:Stack"
RELEASE_TYPE: Final = "kubernetes:helm.sh/v3:Release"
HELM_TYPES: Final = frozenset({RELEASE_TYPE, CHART_TYPE})
"""What is a chart: what objects are in it only the chart knows."""
_KUBERNETES: Final = "kubernetes:"
_AWS: Final = "aws:"
_PATCH: Final = "Patch"
"""Ends the type of what changes an object of somebody else's: no object, and nothing that kubectl could apply."""
_HEAD: Final = ("apiVersion", "kind", "metadata")
_NODE_FIELDS: Final = ("urn", "name", "type", "parent", "provider", "dependencies", "inputs")


class RenderError(UserError):
    """The files can not be written there. The text is for people."""


@dataclass(frozen=True, kw_only=True)
class RenderSummary:
    """What was written. `files` are relative to `out`; `warnings` are what the program logged.

    helm, charts: Helm releases, and charts that Helm renders only: their objects are Pulumi's.
    critical_path: logical names of the longest chain of resources that wait for each other.
    """

    stack: str
    out: Path
    kubernetes: int
    helm: int
    charts: int
    aws: int
    resources: int
    critical_path: tuple[str, ...]
    files: tuple[str, ...]
    warnings: tuple[str, ...]


def render(stack: str, root: Path, out: Path) -> RenderSummary:
    """Run the program of `stack` in the project `root` and write its objects below `out`.

    Raises RenderError where `out` holds anything but an earlier render, and ProgramError where the program
    refuses.
    """
    previous_files(out)  # before the program runs: the refusal should come at once
    return write(program_graph(stack, root), stack, out)


def write(graph: ProgramGraph, stack: str, out: Path) -> RenderSummary:
    """Write what a program asked for below `out`. Raises RenderError as `render` does."""
    previous = previous_files(out)
    objects, helm, aws = kubernetes_files(graph), helm_files(graph), aws_files(graph)
    types = Counter(node["type"] for node in graph.resources)
    files = {
        **objects,
        **helm,
        **aws,
        "graph.json": graph_json(graph),
        "outputs.json": outputs_json(graph),
    }
    replace_files(out, previous, files)
    return RenderSummary(
        stack=stack,
        out=out,
        kubernetes=len(objects),
        helm=types[RELEASE_TYPE],
        charts=types[CHART_TYPE],
        aws=len(aws),
        resources=len(graph.resources),
        critical_path=tuple(node["name"] for node in critical_path(graph.resources)),
        files=tuple(sorted(files)),
        warnings=graph.warnings,
    )


def kubernetes_files(graph: ProgramGraph) -> dict[str, str]:
    """Return a YAML document per Kubernetes object, by path."""
    objects = [
        node["inputs"]
        for node in graph.resources
        if node["type"].startswith(_KUBERNETES) and node["type"] not in HELM_TYPES and not is_patch(node)
    ]
    named = _unique(
        (_object_name(document), _group(document), yaml_document(document)) for document in objects
    )
    return {f"kubernetes/{name}.yaml": text for name, text in named.items()}


def is_patch(node: Mapping[str, Any]) -> bool:
    """Tell whether a resource is a patch of an object that another resource, or a controller, makes."""
    return (
        node["type"] == f"kubernetes:{node['inputs'].get('apiVersion')}:{node['inputs'].get('kind')}{_PATCH}"
    )


def helm_files(graph: ProgramGraph) -> dict[str, str]:
    """Return chart and values of every Helm release and every rendered chart, by path."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for node in graph.resources:
        if node["type"] in HELM_TYPES:
            inputs: Mapping[str, Any] = node["inputs"]
            found.append((inputs.get("name", node["name"]), inputs.get("namespace", "default"), inputs))
    values = _unique((name, space, _values(inputs)) for name, space, inputs in found)
    charts = _unique((name, space, _chart(inputs)) for name, space, inputs in found)
    return {f"helm/{name}/values.yaml": text for name, text in values.items()} | {
        f"helm/{name}/chart.json": text for name, text in charts.items()
    }


def _values(inputs: Mapping[str, Any]) -> str:
    return yaml.safe_dump(inputs.get("values", {}), sort_keys=True)


def _chart(inputs: Mapping[str, Any]) -> str:
    return _json({key: value for key, value in inputs.items() if key != "values"})


def aws_files(graph: ProgramGraph) -> dict[str, str]:
    """Return the inputs of every AWS resource as JSON, by path. `aws:ec2/vpc:Vpc` is `ec2-vpc`."""
    rows = [
        (
            f"{node['type'].split(':')[1].replace('/', '-')}-{node['name']}",
            node["type"].split(":")[2],
            _json(node["inputs"]),
        )
        for node in graph.resources
        if node["type"].startswith(_AWS)
    ]
    return {f"aws/{name}.json": text for name, text in _unique(rows).items()}


def graph_json(graph: ProgramGraph) -> str:
    """Return all resources, the stack too, sorted by URN."""
    return _json([{field: node[field] for field in _NODE_FIELDS} for node in graph.resources])


def outputs_json(graph: ProgramGraph) -> str:
    """Return what the stack exports."""
    return _json(outputs_of(graph))


def outputs_of(graph: ProgramGraph) -> dict[str, Any]:
    """Return what the stack exports, by name."""
    stacks = [node["urn"] for node in graph.resources if node["type"] == STACK_TYPE]
    return {name: value for urn in stacks for name, value in graph.outputs.get(urn, {}).items()}


def _object_name(document: Mapping[str, Any]) -> str:
    metadata: Mapping[str, Any] = document["metadata"]
    parts = (document["kind"].lower(), metadata.get("namespace"), metadata["name"])
    return "-".join(part for part in parts if part)


def _group(document: Mapping[str, Any]) -> str:
    return document["apiVersion"].rpartition("/")[0] or "core"


def _unique(rows: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Name texts by the first element; where two share it, by first and second. Raises RenderError."""
    by_name: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, qualifier, text in rows:
        by_name[name].append((qualifier, text))
    files: dict[str, str] = {}
    for name, found in by_name.items():
        for qualifier, text in found:
            full = name if len(found) == 1 else f"{name}-{qualifier}"
            if full in files:
                message = f"two objects have the name {full}: one would replace the other on the cluster"
                raise RenderError(message)
            files[full] = text
    return files


def yaml_document(document: Mapping[str, Any]) -> str:
    """Write one object as kubectl takes it, in the order in which people read it."""
    ordered = {key: document[key] for key in (*_HEAD, *sorted(set(document) - set(_HEAD))) if key in document}
    return yaml.dump(ordered, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice: kubectl takes anchors, people and diffs do not."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - the signature is PyYAML's
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text of several lines as such."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)  # pyright: ignore[reportUnknownMemberType]


_PlainDumper.add_representer(str, _text)


def previous_files(out: Path) -> list[Path]:
    """Return the files of an earlier render in `out`. Raises RenderError if there is anything else."""
    if not out.exists():
        return []
    if not out.is_dir():
        message = f"{out} is not a directory: name another one with --out"
        raise RenderError(message)
    marker = out / MARKER
    if not marker.is_file():
        if any(out.iterdir()):
            message = f"{out} holds files that no render wrote: name an empty or a new directory with --out"
            raise RenderError(message)
        return []
    try:
        listed = [out / name for name in json.loads(marker.read_text(encoding="utf-8"))["files"]]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{marker} can not be read ({error}): remove {out}, or name another directory with --out"
        raise RenderError(message) from None
    # The list is a file that anyone can write: nothing outside of the directory is ever removed.
    return [path for path in [*listed, marker] if path.resolve().is_relative_to(out.resolve())]


def replace_files(out: Path, previous: Iterable[Path], files: Mapping[str, str]) -> None:
    """Remove the files of an earlier render, write the new: the list first, so that none is ever unlisted."""
    try:
        for path in previous:
            path.unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        (out / MARKER).write_text(_json({"files": sorted(files)}), encoding="utf-8")
        for name, text in sorted(files.items()):
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for folder in sorted((path for path in out.rglob("*") if path.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        message = f"{out} can not be written: {error}"
        raise RenderError(message) from error
