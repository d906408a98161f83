"""The findings of `vp preflight` as text: a table of all, then what to do, one after the other."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from settings.problems import SettingsError

# Where the output is no terminal (a log, a pull request), the table keeps its columns.
LOG_WIDTH: Final = 150
COLUMNS: Final = ("status", "check", "about", "found", "needed")
STYLES: Final = {"ok": "green", "missing": "red", "unknown": "yellow"}


def output_console() -> Console:
    """Make the console that results go to."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def show(report: dict[str, Any], console: Console) -> None:
    """Print a report."""
    findings = report["findings"]
    where = f"stack {report['stack']}: account {report['account']}, {report['region']}"
    table = Table(title=where, title_justify="left", title_style="bold")
    for column in COLUMNS:
        # Nothing is cut off: an ARN that does not fit goes on below.
        table.add_column(column, overflow="fold")
    for one in findings:
        cells = (one["check"], one["subject"], one["found"], one["needed"])
        table.add_row(Text(one["status"], style=STYLES[one["status"]]), *map(Text, cells))
    console.print(table)
    for status, head in (("missing", "Missing"), ("unknown", "Not known")):
        entries = [one for one in findings if one["status"] == status]
        if entries:
            console.print(f"{head}:", style=STYLES[status], highlight=False)
        for index, one in enumerate(entries, start=1):
            _line(
                console,
                f"  {index}. {one['check']}, {one['subject']}: {one['found']}; needed: {one['needed']}",
            )
            _line(console, f"     fix: {one['fix']}")
    counts = ", ".join(f"{count} {status}" for status, count in report["counts"].items())
    _line(console, f"{counts}; {report['note']}")


def show_refused(error: SettingsError, console: Console) -> None:
    """Print what is wrong with the settings: AWS was not asked."""
    console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
