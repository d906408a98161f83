"""`python -m benchmarks [--runs N] [--only PART]... [--cold] [--reference]`."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.cases import CASES, COLD_CASES, OF_ENGINE, OWN_TOOLS, WITHOUT_TOOLS
from benchmarks.checkout import ended_as_interrupted
from benchmarks.machine import machine, versions
from benchmarks.part import Bench, Case
from benchmarks.report import Measurement, Run, claims_table
from rehearsal.errors import UserError
from rehearsal.toolchain import REHEARSAL_TOOLS, ensure_tools

RESULTS: Final = Path(__file__).parent / "results"
REFERENCE: Final = RESULTS / "reference"
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 when every part ran, 1 when one failed. Missed aims do not count: machines differ."""
    chosen = parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=170)
    parts = {**CASES, **(COLD_CASES if chosen.cold else {})}
    if chosen.only:
        parts = {name: case for name, case in {**CASES, **COLD_CASES}.items() if name in chosen.only}
    try:
        with ended_as_interrupted():
            found = run(parts, Path(__file__).resolve().parents[1], console, chosen.runs)
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        return _INTERRUPTED
    except UserError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    save(found, console, reference=chosen.reference)
    return 1 if found.problems else 0


def run(parts: dict[str, Case], repository: Path, console: Console, runs: int) -> Run:
    """Run parts one after another. A part that fails is named, and the others go on."""
    began = dt.datetime.now(dt.UTC)
    at_start = machine()
    tools = ensure_tools(REHEARSAL_TOOLS, console) if parts.keys() - WITHOUT_TOOLS - OWN_TOOLS else None
    bench = Bench(repository=repository, built=tools, console=Console(quiet=True), runs=runs)
    measured: dict[str, list[Measurement]] = {}
    problems: list[str] = []
    for name, case in parts.items():
        console.print(f"{name} …", highlight=False)
        try:
            new = case(bench)
        except UserError as error:
            problems.append(f"{name}: {error}")
            console.print(problems[-1], style="red", markup=False, highlight=False, soft_wrap=True)
            continue
        measured[name] = new
        for each in new:
            figures = ", ".join(f"{value:.4g}" for value in each.values)
            console.print(
                f"  {each.what}: {figures} {each.unit}", markup=False, highlight=False, soft_wrap=True
            )
    found = Run(
        date=began.isoformat(timespec="seconds"),
        machine=at_start,
        versions=versions(tools, engine=bool(measured.keys() & OF_ENGINE)),
        parts=measured,
        problems=problems,
    )
    console.print(claims_table(found.measurements))
    return found


def save(found: Run, console: Console, *, reference: bool) -> None:
    """Write the document and, where that is asked for, each part as the reference of the documentation."""
    documents = {RESULTS / f"{found.date.replace(':', '').replace('+0000', 'Z')}.json": found.document()}
    if reference:
        documents |= {REFERENCE / f"{part}.json": found.document(part) for part in found.parts}
    for path, document in documents.items():
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        console.print(f"written: {path}", markup=False, highlight=False, soft_wrap=True)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks", description="How fast the project is on this machine."
    )
    made.add_argument("--runs", type=int, default=3, help="how often the dear measurements are repeated (3)")
    made.add_argument(
        "--only", action="append", choices=[*CASES, *COLD_CASES], help="this part; may be repeated"
    )
    made.add_argument(
        "--cold", action="store_true", help="build all tools from nothing too: many minutes, 8 GB"
    )
    made.add_argument(
        "--reference",
        action="store_true",
        help="keep the parts that were run as those which docs/benchmarks.md shows",
    )
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
