"""What a change costs: two reports, line by line. Each was made by the code and the prices of its own side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from settings.cost_lines import COLUMNS

# Below a cent a month nothing is a difference.
_CENT: Final = 0.005
SUM: Final = "sum"
"""Name of the last row of a table."""
Amounts = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line or model. before, after: what it costs a month in each column; None where it is not there, or not priced."""

    name: str
    before: Amounts | None
    after: Amounts | None

    def by(self, column: str) -> float:
        """Return how much more it costs."""
        return (self.after or {}).get(column, 0) - (self.before or {}).get(column, 0)

    @property
    def differs(self) -> bool:
        """Whether it costs something else in any column, or came, or went."""
        return (self.before is None) != (self.after is None) or any(
            abs(self.by(column)) >= _CENT for column in COLUMNS
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of one stack. before, after: the reports; None where the stack is not there. why: why `before` is not there.

    lines, models: those that differ.
    """

    stack: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str
    lines: tuple[Change, ...]
    models: tuple[Change, ...]
    total: Change


def difference(
    stack: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, why: str = ""
) -> Difference:
    """Compare two reports of a stack."""
    if before and after and before["form"] != after["form"]:
        before, why = None, "its report has another form"
    return Difference(
        stack=stack,
        before=before,
        after=after,
        why=why,
        lines=tuple(_changes(_lines(before), _lines(after))),
        models=tuple(_changes(_models(before), _models(after))),
        total=Change(
            name=SUM, before=before["total"] if before else None, after=after["total"] if after else None
        ),
    )


def as_values(found: Difference) -> dict[str, Any]:
    """Return a difference as plain values."""

    def values(change: Change) -> dict[str, Any]:
        more = {column: change.by(column) for column in COLUMNS}
        return {"name": change.name, "before": change.before, "after": change.after, "more": more}

    return {
        "stack": found.stack,
        "before": found.before,
        "after": found.after,
        "not_compared": found.why or None,
        "difference": {
            "total": values(found.total),
            "lines": [values(change) for change in found.lines],
            "models": [values(change) for change in found.models],
        },
    }


def _changes(before: Mapping[str, Amounts | None], after: Mapping[str, Amounts | None]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        change = Change(name=name, before=before.get(name), after=after.get(name))
        if change.differs:
            yield change


def _lines(report: Mapping[str, Any] | None) -> dict[str, Amounts | None]:
    return {f"{row['group']}: {row['name']}": row["monthly"] for row in _rows(report, "lines")}


def _models(report: Mapping[str, Any] | None) -> dict[str, Amounts | None]:
    return {row["name"]: row["monthly"] for row in _rows(report, "models")}


def _rows(report: Mapping[str, Any] | None, key: str) -> Sequence[Mapping[str, Any]]:
    return report[key] if report else ()
