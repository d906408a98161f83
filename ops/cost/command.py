"""`vp cost`: what a stack costs a month, line by line and by model; `--against REF` what it costs more than before."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ops.check import LOG_WIDTH
from ops.cost import tables
from ops.cost.difference import Difference, as_values, difference
from ops.cost.report import report
from ops.other_side import Side, other_side
from settings.loader import load_stack_file

if TYPE_CHECKING:
    from rich.console import Console

Output = Literal["text", "json", "markdown"]


def cost(
    stack: str,
    root: Path,
    output: Output = "text",
    against: str | None = None,
    *,
    today: dt.date | None = None,
    console: "Console | None" = None,
) -> int:
    """Print what Pulumi.STACK.yaml in `root` costs. Return 1 where that is more than its budget, else 0.

    Raises SettingsError where the stack can not be deployed, UserError where git does not know `against`.
    """
    settings = load_stack_file(root / f"Pulumi.{stack}.yaml", over_budget=True)
    found = report(stack, settings, today or dt.datetime.now(tz=dt.UTC).date())
    if against is None:
        _print(output, found, console)
    else:
        with other_side(root, against) as side:
            before, why = report_of(side, stack)
        _print_difference(output, difference(stack, before, found, why), console)
    budget = found["budget"]
    return 1 if budget and budget["problem"] else 0


def report_of(side: Side, stack: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return a side's own report of a stack, or None and why there is none."""
    if not (side.root / f"Pulumi.{stack}.yaml").is_file():
        return None, f"{side.ref} has no stack {stack}"
    if not (side.root / "ops" / "cost").is_dir():
        return None, f"the code of {side.ref} has no `vp cost`"
    done = side.vp("cost", stack, "--output", "json")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or done.stdout).strip().splitlines()
        return None, f"`vp cost` of {side.ref} says: {said[-1] if said else f'status {done.status}'}"
    return found, ""


def _print(output: Output, found: dict[str, Any], console: "Console | None") -> None:
    if output == "text":
        tables.show(found, console or _console())
    else:
        _plain(json.dumps(found, indent=2) if output == "json" else tables.markdown(found), console)


def _print_difference(output: Output, found: Difference, console: "Console | None") -> None:
    if output == "text":
        tables.show_difference(found, console or _console())
    else:
        text = (
            json.dumps(as_values(found), indent=2) if output == "json" else tables.markdown_difference(found)
        )
        _plain(text, console)


def _plain(text: str, console: "Console | None") -> None:
    (console or _console()).print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - as in the tables

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)
