"""What a benchmark run found: measurements, and what they say of the aims. As a table, and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

from rich.table import Table

SCHEMA: Final = 1
"""Raise it when a reader of old results would misread new ones."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, measured once or several times. `what` says it in words, `unit` is s, ms or MB."""

    name: str
    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the values."""
        return median(self.values)

    def to_json(self) -> dict[str, Any]:
        """All values, and their median, least and greatest."""
        return {
            "what": self.what,
            "unit": self.unit,
            "values": [rounded(value) for value in self.values],
            "median": rounded(self.median),
            "min": rounded(min(self.values)),
            "max": rounded(max(self.values)),
        }


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed of one measurement.

    :param figure: name of the measurement.
    :param baseline: name of the one that it is compared with.
    :param aim: the greatest figure, or the greatest ratio, that is good enough; None for a figure without an aim.
    """

    text: str
    figure: str
    baseline: str
    aim: float | None
    aim_on: Literal["figure", "ratio"] = "figure"


CLAIMS: Final = (
    Claim(text="start of the control plane", figure="control_plane", baseline="cluster", aim=5),
    Claim(
        text="`vp rehearse local`, warm, from no cluster",
        figure="rehearse",
        baseline="rehearse_again",
        aim=45,
    ),
    Claim(text="`pulumi up` that changes nothing", figure="up_again", baseline="up_first", aim=10),
    Claim(text="`vp check prod`", figure="check", baseline="help", aim=1),
    Claim(
        text="memory of the cluster, models Ready", figure="memory_cluster", baseline="memory_bare", aim=1200
    ),
    Claim(
        text="memory at the peak of `pulumi up`, engine included",
        figure="memory_peak",
        baseline="memory_cluster",
        aim=None,
    ),
    Claim(
        text="`pulumi up` per model, 50 against 5",
        figure="up_model_50",
        baseline="up_model_5",
        aim=1,
        aim_on="ratio",
    ),
    Claim(text="nodes per node, 500 against 50", figure="node_500", baseline="node_50", aim=None),
    Claim(
        text="checks per model, 50 against 5",
        figure="check_model_50",
        baseline="check_model_5",
        aim=1,
        aim_on="ratio",
    ),
    Claim(
        text="render per model, 50 against 5",
        figure="render_model_50",
        baseline="render_model_5",
        aim=1,
        aim_on="ratio",
    ),
    Claim(text="build of all tools from nothing", figure="tools_cold", baseline="tools_warm", aim=18 * 60),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A claim as it came out."""

    claim: Claim
    figure: Measurement
    baseline: Measurement

    @property
    def ratio(self) -> float:
        """The figure by the baseline."""
        return self.figure.median / self.baseline.median

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.claim.aim is None:
            return None
        return (self.ratio if self.claim.aim_on == "ratio" else self.figure.median) <= self.claim.aim

    def to_json(self) -> dict[str, Any]:
        """Names, figures, ratio, aim."""
        return {
            "text": self.claim.text,
            "figure": self.figure.name,
            "baseline": self.baseline.name,
            "ratio": rounded(self.ratio),
            "aim": self.claim.aim,
            "aim_on": self.claim.aim_on,
            "met": self.met,
        }


def outcomes(measurements: Iterable[Measurement], claims: Sequence[Claim] = CLAIMS) -> list[Outcome]:
    """Return the claims of which both sides were measured."""
    by_name = {measurement.name: measurement for measurement in measurements}
    return [
        Outcome(claim=claim, figure=by_name[claim.figure], baseline=by_name[claim.baseline])
        for claim in claims
        if claim.figure in by_name and claim.baseline in by_name
    ]


def document(
    measurements: Sequence[Measurement],
    *,
    date: str,
    machine: Mapping[str, object],
    versions: Mapping[str, str],
    problems: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a run as a JSON document. `problems`: parts of it that failed, with their reason."""
    return {
        "schema": SCHEMA,
        "date": date,
        "machine": dict(machine),
        "versions": dict(versions),
        "measurements": {measurement.name: measurement.to_json() for measurement in measurements},
        "claims": [outcome.to_json() for outcome in outcomes(measurements)],
        "problems": list(problems),
    }


def claims_table(measurements: Sequence[Measurement]) -> Table:
    """Return the claims for a terminal."""
    table = Table(title="claims", title_justify="left")
    for column in ("claim", "median", "least - greatest", "aim", "", "ratio", "to"):
        table.add_column(column, overflow="fold")
    for one in outcomes(measurements):
        unit = one.figure.unit
        spread = (
            f"{shown(min(one.figure.values))} - {shown(max(one.figure.values))} ({len(one.figure.values)})"
        )
        table.add_row(
            one.claim.text,
            f"{shown(one.figure.median)} {unit}",
            spread,
            aim_in_words(one.claim, unit),
            {True: "met", False: "missed", None: ""}[one.met],
            shown(one.ratio),
            f"{one.baseline.what}: {shown(one.baseline.median)} {one.baseline.unit}",
        )
    return table


def aim_in_words(claim: Claim, unit: str) -> str:
    """Say what is aimed at."""
    if claim.aim is None:
        return ""
    return f"ratio at most {claim.aim:g}" if claim.aim_on == "ratio" else f"under {claim.aim:g} {unit}"


def rounded(value: float) -> float:
    """Keep four figures that mean something."""
    return float(f"{value:.4g}")


def shown(value: float) -> str:
    """Write a figure for people."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three figures either way
