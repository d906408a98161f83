"""Spans in the file that a collector writes."""

import json
from pathlib import Path
from typing import Any

Span = dict[str, Any]


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
