"""What a change costs: two reports, line by line. Each was made by the code and the prices of its own side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from settings.cost_lines import COLUMNS

# Below a cent a month nothing is a difference.
_CENT: Final = 0.005
SUM: Final = "sum"
"""Name of the last row of a table."""
Amounts = Mapping[str, float]
Side = Literal["before", "after"]
SIDES: Final[tuple[Side, Side]] = ("before", "after")
_Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line or model. before, after: what it costs a month in each column; None where it is not there, or not priced.

    unpriced: the sides on which it is there and has no list price. Of a sum: those that leave something out which differs.
    """

    name: str
    before: Amounts | None
    after: Amounts | None
    unpriced: tuple[Side, ...] = ()

    def by(self, column: str) -> float | None:
        """Return how much more it costs; None where nobody knows, because a side has no price."""
        if self.unpriced:
            return None
        return (self.after or {}).get(column, 0) - (self.before or {}).get(column, 0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of one stack. before, after: the reports; None where the stack is not there. why: why `before` is not there.

    lines, models: those that differ. unpriced: what has no list price, and is in no sum, by side.
    """

    stack: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str
    lines: tuple[Change, ...]
    models: tuple[Change, ...]
    total: Change
    unpriced: Mapping[Side, Sequence[str]]


def difference(
    stack: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, why: str = ""
) -> Difference:
    """Compare two reports of a stack."""
    if before and after and before["form"] != after["form"]:
        before, why = None, "its report has another form"
    lines = tuple(_changes(_lines(before), _lines(after)))
    # What has no price on either side and is the same adds the same to both sums.
    left_out = {side for change in lines for side in change.unpriced} if before and after else set[Side]()
    return Difference(
        stack=stack,
        before=before,
        after=after,
        why=why,
        lines=lines,
        models=tuple(_changes(_models(before), _models(after))),
        total=Change(
            name=SUM,
            before=before["total"] if before else None,
            after=after["total"] if after else None,
            unpriced=tuple(side for side in SIDES if side in left_out),
        ),
        unpriced={
            side: one["unpriced"] if one else () for side, one in zip(SIDES, (before, after), strict=True)
        },
    )


def as_values(found: Difference) -> dict[str, Any]:
    """Return a difference as plain values."""

    def values(change: Change) -> dict[str, Any]:
        more = {column: change.by(column) for column in COLUMNS}
        return {
            "name": change.name,
            "before": change.before,
            "after": change.after,
            "unpriced": list(change.unpriced),
            "more": more,
        }

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


def _changes(before: Mapping[str, _Row], after: Mapping[str, _Row]) -> Iterator[Change]:
    """Yield what costs something else in any column, what came, what went, and what nobody can say this of."""
    for name in dict.fromkeys((*before, *after)):
        rows = before.get(name), after.get(name)
        one, other = (row and row["monthly"] for row in rows)
        unpriced: tuple[Side, ...] = tuple(
            side for side, row in zip(SIDES, rows, strict=True) if row is not None and row["monthly"] is None
        )
        change = Change(name=name, before=one, after=other, unpriced=unpriced)
        if None in rows or (_others(rows) if unpriced else _costs_other(change)):
            yield change


def _others(rows: Sequence[_Row | None]) -> bool:
    """Tell whether two rows, of which one has no price, can cost something else: not the same of the same."""
    one, other = (
        {key: row.get(key) for key in ("quantity", "replicas", "pool", "monthly")} for row in rows if row
    )
    return one != other


def _costs_other(change: Change) -> bool:
    return any(abs(change.by(column) or 0) >= _CENT for column in COLUMNS)


def _lines(report: Mapping[str, Any] | None) -> dict[str, _Row]:
    return {f"{row['group']}: {row['name']}": row for row in _rows(report, "lines")}


def _models(report: Mapping[str, Any] | None) -> dict[str, _Row]:
    return {row["name"]: row for row in _rows(report, "models")}


def _rows(report: Mapping[str, Any] | None, key: str) -> Sequence[_Row]:
    return report[key] if report else ()
