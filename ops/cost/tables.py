"""Estimates and differences for people: tables of a terminal, and Markdown for a pull request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ops.cost.difference import SUM, Change, Difference, Side
from settings.cost_lines import COLUMNS

if TYPE_CHECKING:
    from rich.console import Console

_NOT_KNOWN: Final = "not known"
_LINES: Final = ("group", "what", ">quantity", "unit", *(f">{column}" for column in COLUMNS))
_MODELS: Final = (
    *("model", "pool", ">replicas"),
    *(f">{column}" for column in COLUMNS),
    *(">a replica", ">a million tokens"),
)
_CHANGES: Final = ("what", ">before", ">after", *(f">{column}" for column in COLUMNS))


def show(report: Mapping[str, Any], console: "Console") -> None:
    """Print what a stack costs."""
    for title, columns, rows in _tables(report):
        console.print(_table(title, columns, rows))
    for line in _notes(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def show_difference(found: Difference, console: "Console") -> None:
    """Print what a change costs."""
    for title, columns, rows in _difference_tables(found):
        console.print(_table(title, columns, rows))
    for line in _difference_notes(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def markdown(report: Mapping[str, Any]) -> str:
    """Return what a stack costs as Markdown."""
    return _markdown(_tables(report), _notes(report))


def markdown_difference(found: Difference) -> str:
    """Return what a change costs as Markdown."""
    return _markdown(_difference_tables(found), _difference_notes(found))


Table = tuple[str, Sequence[str], list[list[str]]]


def _tables(report: Mapping[str, Any]) -> Iterable[Table]:
    currency = report["currency"]
    rows = [
        [
            *(row["group"], row["name"], _range(row["quantity"]), row["unit"]),
            *(_money(row["monthly"], column) for column in COLUMNS),
        ]
        for row in report["lines"]
    ]
    rows.append([SUM, "", "", "", *(_money(report["total"], column) for column in COLUMNS)])
    yield f"{report['stack']} in {report['region']}, {currency} a month", _LINES, rows
    if models := report["models"]:
        yield f"of that, by model, {currency} a month", _MODELS, [_model(row) for row in models]


def _model(row: Mapping[str, Any]) -> list[str]:
    per_million = row["per_million_tokens"]
    return [
        *(row["name"], row["pool"], _range(row["replicas"])),
        *(_money(row["monthly"], column) for column in COLUMNS),
        _NOT_KNOWN if row["replica_monthly"] is None else f"{row['replica_monthly']:,.2f}",
        "-" if per_million is None else f"{per_million:,.3f}",
    ]


def _notes(report: Mapping[str, Any]) -> Iterable[str]:
    for row in report["lines"]:
        if row["note"]:
            yield f"{row['name']}: {row['note']}"
    for row in report["models"]:
        if told := row["throughput"]:
            yield f"{row['name']}: {told['tokens_per_second']:,g} tokens a second, {told['kind']}: {told['source']}"
    if report["unpriced"]:
        yield f"no list price, and in no sum: {', '.join(report['unpriced'])}"
    if budget := report["budget"]:
        yield budget["problem"] or (
            f"budget: {budget['monthly']:,.0f} {report['currency']} a month ({budget['of']}): kept"
        )
    dated = ", ".join(f"{one['of']} {one['date']}" for one in report["prices"])
    yield f"list prices: {dated}; without taxes, discounts and support"
    for warning in report["warnings"]:
        yield f"warning: {warning}"


def _difference_tables(found: Difference) -> Iterable[Table]:
    side = found.after or found.before
    if side is None or found.before is None:
        return
    currency = side["currency"]
    rows = [_change(change) for change in (*found.lines, found.total)]
    yield f"{found.stack}: what changes, {currency} a month", _CHANGES, rows
    if found.models:
        yield f"by model, {currency} a month", _CHANGES, [_change(change) for change in found.models]


def _difference_notes(found: Difference) -> Iterable[str]:
    if found.before is None:
        yield f"{found.stack}: the other side has no estimate: {found.why or 'the stack is new'}"
    yield from unpriced_notes(found)
    if found.after is not None:
        if found.before is None:
            total = found.after["total"]
            amounts = ", ".join(f"{column} {total[column]:,.2f}" for column in COLUMNS)
            yield f"{found.stack}: {found.after['currency']} a month: {amounts}"
        budget = found.after["budget"]
        if budget and budget["problem"]:
            yield budget["problem"]
        for warning in found.after["warnings"]:
            yield f"warning: {warning}"


def unpriced_notes(found: Difference) -> Iterable[str]:
    """Yield what has no list price, a line for each side that has such a thing."""
    for side, names in found.unpriced.items():
        if names:
            yield f"no list price, and in no sum: {', '.join(names)} ({side})"


def _change(change: Change) -> list[str]:
    sides: tuple[tuple[Side, Mapping[str, float] | None], ...] = (
        ("before", change.before),
        ("after", change.after),
    )
    return [
        change.name,
        *(
            _money(amounts, "expected") if amounts or side in change.unpriced else "-"
            for side, amounts in sides
        ),
        *(_more(change.by(column)) for column in COLUMNS),
    ]


def _more(amount: float | None) -> str:
    return _NOT_KNOWN if amount is None else f"{amount:+,.2f}"


def _money(span: Mapping[str, float] | None, column: str) -> str:
    return _NOT_KNOWN if span is None else f"{span[column]:,.2f}"


def _range(span: Mapping[str, float]) -> str:
    """Write three quantities: one where they are the same."""
    shown = [f"{span[column]:,g}" for column in COLUMNS]
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def _table(title: str, columns: Sequence[str], rows: list[list[str]]) -> Any:  # noqa: ANN401 - rich is imported late
    from rich.table import Table as RichTable  # noqa: PLC0415 - 80 ms that JSON and Markdown save

    table = RichTable(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*row, end_section=len(rows) > 1 and rows[-1][0] == SUM and row is rows[-2])
    return table


def _markdown(tables: Iterable[Table], notes: Iterable[str]) -> str:
    parts: list[str] = []
    for title, columns, rows in tables:
        head = " | ".join(column.removeprefix(">") for column in columns)
        rule = " | ".join("--:" if column.startswith(">") else "---" for column in columns)
        body = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
        parts.append("\n".join([f"**{title}**", "", f"| {head} |", f"| {rule} |", *body]))
    parts += [f"- {' '.join(note.split())}" for note in notes]
    return "\n\n".join(parts) + "\n"
