"""The reference run of the benchmarks, as a table."""

import json
from pathlib import Path
from typing import Any

from benchmarks.report import aim_in_words, shown
from docs.generator.tables import table


def benchmarks_table(root: Path) -> str:
    """Return the reference run's claims, its machine and versions, as Markdown."""
    reference = root / "benchmarks" / "results" / "reference.json"
    if not reference.is_file():
        return "No run is kept as the reference yet."
    found: dict[str, Any] = json.loads(reference.read_text(encoding="utf-8"))
    machine, figures = found["machine"], found["measurements"]
    said = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    head = (
        f"Measured on {found['date'][:10]}: {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_mb'] / 1000:.0f} GB, {machine['kernel']}, load {machine['load_at_start']:.1f} when it began; {said}."
    )
    rows = [_row(claim, figures[claim["figure"]], figures[claim["baseline"]]) for claim in found["claims"]]
    columns = ("claim", "median", "least - greatest", "runs", "aim", "", "ratio", "more", "to the baseline")
    return f"{head}\n\n{table(columns, rows)}"


def _row(claim: dict[str, Any], figure: dict[str, Any], baseline: dict[str, Any]) -> tuple[str, ...]:
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
    )
