"""`vp graph`: in which order a stack is installed, what can go on at once, and what it takes longest to wait for.

Runs the program under the recorder: no cloud, no cluster. The picture is made by ops.graph_svg.
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.graph_svg import drawing
from ops.installation_order import InstallationOrder, installation_order
from ops.preflight_text import output_console
from ops.program_graph import program_graph
from rehearsal.errors import UserError

Output = Literal["text", "json"]
SUFFIX: Final = ".svg"
COLUMNS: Final = ("level", "component", "kind", "waits for", "critical", "resources")
CRITICAL_STYLE: Final = "bold red"


class DrawingError(UserError):
    """The picture can not be written there. The text is for people."""


def graph(stack: str, root: Path, *, svg: Path | None = None, output: Output = "text") -> tuple[str, ...]:
    """Print the order of installation of Pulumi.STACK.yaml in `root`, and draw it to `svg`. Return the program's warnings.

    Raises ProgramError where the program refuses, DrawingError where `svg` is no place for a picture.
    """
    if svg:
        _refuse_no_place(svg)  # before the program runs: the refusal should come at once
    recorded = program_graph(stack, root)
    order = installation_order(recorded.resources)
    console = output_console()
    if output == "json":
        _line(console, json.dumps(as_json(order), indent=2))
    else:
        show(order, stack, console)
    if svg:
        draw(order, stack, svg)
        if output == "text":
            _line(console, f"picture: {svg}")
    return recorded.warnings


def as_json(order: InstallationOrder) -> dict[str, Any]:
    """Return the order as plain values; an edge leads from what must be there first to what waits for it."""
    return {
        "levels": [[one.name for one in level] for level in order.levels],
        "edges": [list(edge) for edge in order.edges],
        "critical_path": {
            "components": list(order.critical_components),
            "resources": list(order.critical_resources),
        },
    }


def show(order: InstallationOrder, stack: str, console: Console) -> None:
    """Print a table of components by level, and the critical path below it."""
    table = Table(title=f"stack {stack}: what waits for what", title_justify="left", title_style="bold")
    for column in COLUMNS:
        right = column in {"level", "resources"}
        table.add_column(column, justify="right" if right else "left", no_wrap=column == "component")
    for level in order.levels:
        for index, one in enumerate(level):
            critical = one.name in order.critical_components
            table.add_row(
                str(one.level) if index == 0 else "",
                Text(one.name, style=CRITICAL_STYLE if critical else ""),
                Text(one.kind),
                Text(", ".join(order.needs(one.name)) or "-"),
                "yes" if critical else "",
                str(one.resources),
            )
        table.add_section()
    console.print(table)
    _line(console, critical_path_text(order))


def critical_path_text(order: InstallationOrder) -> str:
    """Return the critical path in one line: how long it is, and how much of it is in which component."""
    length = len(order.critical_resources)
    providers = length - sum(order.critical_counts.values())
    among = f", {providers} of them {'a provider' if providers == 1 else 'providers'}" if providers else ""
    steps = " -> ".join(f"{name} ({order.critical_counts[name]})" for name in order.critical_components)
    return f"critical path: {length} resources{among}: {steps}"


def draw(order: InstallationOrder, stack: str, svg: Path) -> None:
    """Write the picture. Raises DrawingError."""
    try:
        svg.write_text(drawing(order, f"stack {stack}: what waits for what"), encoding="utf-8")
    except OSError as error:
        message = f"{svg} can not be written: {error}"
        raise DrawingError(message) from error


def _refuse_no_place(svg: Path) -> None:
    if svg.suffix != SUFFIX:
        message = (
            f"the picture is an SVG file, and {svg} has another ending: name a file that ends in {SUFFIX}"
        )
        raise DrawingError(message)
    if not svg.parent.is_dir():
        message = f"there is no folder {svg.parent}: make it, or name a file in another one"
        raise DrawingError(message)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
