"""A collector that writes spans into a file, and what is in it."""

import json
from pathlib import Path
from typing import Any

Span = dict[str, Any]


def writing_spans(configuration: dict[str, Any], pipeline: str, file: Path) -> dict[str, Any]:
    """Return a gateway's configuration with a file in the place of Tempo, and without its long wait for a trace's end."""
    here: dict[str, Any] = json.loads(json.dumps(configuration))
    here["processors"]["tail_sampling"]["decision_wait"] = "2s"
    here["exporters"]["file"] = {"path": str(file)}
    del here["exporters"]["otlp_grpc/traces"]
    here["service"]["pipelines"][pipeline]["exporters"] = ["file"]
    return here


def spans_in(file: Path) -> list[Span]:
    """Return what was written so far, as OTLP has it; `resource` and `attributes` by name, with values as text."""
    written = file.read_text("utf-8") if file.exists() else ""
    # What comes after the last line's end is being written.
    lines = written[: written.rfind("\n") + 1].splitlines()
    return [
        {**span, "attributes": _plain(span), "resource": _plain(of["resource"])}
        for line in lines
        for of in json.loads(line)["resourceSpans"]
        for scope in of["scopeSpans"]
        for span in scope["spans"]
    ]


def _plain(holder: Span) -> dict[str, str]:
    return {each["key"]: str(next(iter(each["value"].values()))) for each in holder.get("attributes", [])}
