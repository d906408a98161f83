"""The lines of an estimate. Each amount is three: at the fewest nodes, as expected, with every pool at its largest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from settings.costs import Column

HOURS: Final = 730
"""Of a month, as AWS's own calculator counts."""
COLUMNS: Final[tuple[Column, ...]] = ("min", "expected", "max")
Group = Literal[
    "control plane",
    "nodes",
    "disks",
    "volumes",
    "storage",
    "network",
    "load balancer",
    "edge",
    "keys and secrets",
    "logs",
]


@dataclass(frozen=True, kw_only=True)
class Span:
    """One amount in the three columns."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> "Span":
        """Return all three, multiplied."""
        return Span(low=self.low * factor, expected=self.expected * factor, high=self.high * factor)

    def plus(self, other: "Span") -> "Span":
        """Return the sum, column by column."""
        return Span(
            low=self.low + other.low, expected=self.expected + other.expected, high=self.high + other.high
        )

    def of(self, column: Column) -> float:
        """Return one of the three."""
        return {"min": self.low, "expected": self.expected, "max": self.high}[column]

    @property
    def values(self) -> tuple[float, float, float]:
        """All three, in the order of COLUMNS."""
        return self.low, self.expected, self.high


NOTHING: Final = Span(low=0, expected=0, high=0)


def always(amount: float) -> Span:
    """Return an amount that is the same in all three columns."""
    return Span(low=amount, expected=amount, high=amount)


@dataclass(frozen=True, kw_only=True)
class Line:
    """So many units at a price of one unit for a month. price: None where no list price is known. note: what to know of it."""

    group: Group
    name: str
    quantity: Span
    unit: str
    price: float | None
    note: str = ""

    @property
    def monthly(self) -> Span | None:
        """What it costs a month, or None where that is not known."""
        return None if self.price is None else self.quantity.times(self.price)


@dataclass(frozen=True, kw_only=True)
class ModelShare:
    """What one version of a model costs: its share, by GPUs, of the nodes that it is on.

    replica_monthly, monthly: None where the nodes' price is not known. per_million_tokens: of a replica that always has
    enough to do; None where no throughput is stated. throughput: tokens a second, how that is known, and where it is from.
    """

    name: str
    pool: str
    replicas: Span
    replica_monthly: float | None
    per_million_tokens: float | None
    throughput: tuple[float, str, str] | None

    @property
    def monthly(self) -> Span | None:
        """What all its replicas cost a month."""
        return None if self.replica_monthly is None else self.replicas.times(self.replica_monthly)


def total(lines: Iterable[Line]) -> Span:
    """Add up what has a price."""
    found = NOTHING
    for line in lines:
        found = found.plus(line.monthly or NOTHING)
    return found
