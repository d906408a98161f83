"""The reference runs of the benchmarks, as a table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import CLAIMS, aim_in_words, shown
from docs.generator.tables import table

_COLUMNS = (
    "claim",
    "median",
    "least - greatest",
    "runs",
    "aim",
    "",
    "ratio",
    "more",
    "to the baseline",
    "on",
)


def benchmarks_table(root: Path) -> str:
    """Return the claims of the runs that are kept, with their machines and versions, as Markdown."""
    found: list[dict[str, Any]] = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted((root / "benchmarks" / "results" / "reference").glob("*.json"))
    ]
    if not found:
        return "No run is kept as the reference yet."
    order = [claim.figure for claim in CLAIMS]
    rows = sorted(
        (order.index(claim["figure"]), _row(claim, one)) for one in found for claim in one["claims"]
    )
    heads = sorted({_head(one) for one in found})
    return "\n".join([*heads, "", table(_COLUMNS, [row for _, row in rows])])


def _head(one: Mapping[str, Any]) -> str:
    machine = one["machine"]
    said = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
    return (
        f"- {one['date'][:10]}: {machine['cores']} cores ({machine['processor']}), {machine['memory_mb'] / 1000:.0f} GB, "
        f"{machine['kernel']}, load {machine['load_at_start']:.1f} when it began; {said}."
    )


def _row(claim: Mapping[str, Any], one: Mapping[str, Any]) -> tuple[str, ...]:
    figure, baseline = one["measurements"][claim["figure"]], one["measurements"][claim["baseline"]]
    unit = figure["unit"]
    return (
        claim["text"],
        f"{shown(figure['median'])} {unit}",
        f"{shown(figure['min'])} - {shown(figure['max'])}",
        str(len(figure["values"])),
        aim_in_words(claim["aim"], claim["aim_on"], unit, least=claim["least"]),
        {True: "met", False: "**missed**", None: ""}[claim["met"]],
        shown(claim["ratio"]),
        f"{claim['difference']:.3g} {unit}" if claim["aim_on"] == "difference" else "",
        f"{baseline['what']}: {shown(baseline['median'])} {baseline['unit']}",
        one["date"][:10],
    )
