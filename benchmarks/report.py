"""What a benchmark run found: measurements, and what they say of the aims. As a table, and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

from rich.table import Table

SCHEMA: Final = 1
"""Raise it when a reader of old results would misread new ones."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, measured once or several times. `what` says it in words, `unit` is s, ms, µs, MB or 1/s."""

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
    :param aim: the greatest figure, ratio or difference (figure less baseline) that is good enough; None for a figure
        without an aim.
    :param least: of a figure where more is better the aim is the least that is good enough.
    """

    text: str
    figure: str
    baseline: str
    aim: float | None
    aim_on: Literal["figure", "ratio", "difference"] = "figure"
    least: bool = False


def _of_middleware() -> Iterator[Claim]:
    """At most one part in a hundred of throughput, and 0.3 ms of what a client waits for."""
    for text, figure, aim in (
        ("paced server: answers", "middleware_rate", 0.99),
        ("vLLM: answers", "vllm_rate", 0.99),
        ("vLLM: short whole answers", "vllm_short_rate", None),
    ):
        yield _with_it(text, figure, aim, aim_on="ratio", least=True)
    for text, figure in (
        ("vLLM: processor time of an answer", "vllm_busy_answer"),
        ("vLLM: processor time of a short answer", "vllm_busy_short"),
    ):
        yield _with_it(text, figure, None, aim_on="ratio")
    for text, figure, aim in (
        ("paced server: first event", "middleware_first", 0.3),
        ("paced server: event to event", "middleware_gap", 0.3),
        ("paced server: whole answer", "middleware_total", 0.3),
        ("processor time of a short answer", "middleware_busy_request", None),
        ("processor time of an event", "middleware_busy_event", None),
        ("vLLM: first event", "vllm_first", None),
        ("vLLM: event to event", "vllm_gap", None),
        ("vLLM: short whole answer", "vllm_short_total", None),
    ):
        yield _with_it(text, figure, aim, aim_on="difference")
    for text, figure in (
        ("filter of 20 rules, 8,000 tokens", "middleware_long"),
        ("filter: streams of others meanwhile, p99", "middleware_others"),
    ):
        yield Claim(
            text=text, figure=f"{figure}_filtering", baseline=f"{figure}_with", aim=None, aim_on="difference"
        )


def _with_it(
    text: str, figure: str, aim: float | None, *, aim_on: Literal["ratio", "difference"], least: bool = False
) -> Claim:
    return Claim(
        text=f"middleware, {text}",
        figure=f"{figure}_with",
        baseline=f"{figure}_without",
        aim=aim,
        aim_on=aim_on,
        least=least,
    )


def _of_gateway() -> Iterator[Claim]:
    """At most 1 ms of what a client waits for in the middle, and 5 ms for one of a hundred."""
    for streams in (64, 512):
        for text, figure, aim in (
            ("first event", "first", 1),
            ("first event, p99", "first_p99", 5),
            ("event to event, p99", "gap_p99", 5),
        ):
            yield Claim(
                text=f"gateway, {streams} streams: {text}",
                figure=f"gateway_{figure}_{streams}_with",
                baseline=f"gateway_{figure}_{streams}_without",
                aim=aim,
                aim_on="difference",
            )


def _of_collector() -> Iterator[Claim]:
    """What the masking of text costs the log agent."""
    for text, name, least in (("lines a second", "rate", True), ("processor time of a line", "busy", False)):
        yield Claim(
            text=f"log agent, masking: {text}",
            figure=f"collector_{name}_with",
            baseline=f"collector_{name}_without",
            aim=None,
            aim_on="ratio",
            least=least,
        )
    yield Claim(
        text="log agent: memory at most, MB",
        figure="collector_memory_with",
        baseline="collector_memory_without",
        # Its limit is 512 MiB.
        aim=400,
    )


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
    Claim(text="policy pack over prod's graph", figure="policies", baseline="policies_graph", aim=5),
    *_of_middleware(),
    *_of_gateway(),
    Claim(text="`vp review` of a change of prod, warm", figure="review", baseline="review_render", aim=30),
    *_of_collector(),
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
    def difference(self) -> float:
        """What the figure is more than the baseline."""
        return self.figure.median - self.baseline.median

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.claim.aim is None:
            return None
        found = {"figure": self.figure.median, "ratio": self.ratio, "difference": self.difference}
        value = found[self.claim.aim_on]
        return value >= self.claim.aim if self.claim.least else value <= self.claim.aim

    def to_json(self) -> dict[str, Any]:
        """Names, figures, ratio, difference, aim."""
        return {
            "text": self.claim.text,
            "figure": self.figure.name,
            "baseline": self.baseline.name,
            "ratio": rounded(self.ratio),
            "difference": rounded(self.difference),
            "aim": self.claim.aim,
            "aim_on": self.claim.aim_on,
            "least": self.claim.least,
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


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of some parts. `versions`: of what ran. `problems`: parts that failed, with their reason."""

    date: str
    machine: Mapping[str, object]
    versions: Mapping[str, str]
    parts: Mapping[str, Sequence[Measurement]]
    problems: Sequence[str] = ()

    @property
    def measurements(self) -> list[Measurement]:
        """Of all parts."""
        return [each for part in self.parts.values() for each in part]

    def document(self, part: str | None = None) -> dict[str, Any]:
        """Return the run, or one part of it, as a JSON document."""
        measurements = self.measurements if part is None else self.parts[part]
        return {
            "schema": SCHEMA,
            "date": self.date,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "measurements": {measurement.name: measurement.to_json() for measurement in measurements},
            "claims": [outcome.to_json() for outcome in outcomes(measurements)],
            "problems": list(self.problems) if part is None else [],
        }


def claims_table(measurements: Sequence[Measurement]) -> Table:
    """Return the claims for a terminal."""
    table = Table(title="claims", title_justify="left")
    for column in ("claim", "median", "least - greatest", "aim", "", "ratio", "more", "to"):
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
            aim_in_words(one.claim.aim, one.claim.aim_on, unit, least=one.claim.least),
            {True: "met", False: "missed", None: ""}[one.met],
            shown(one.ratio),
            f"{one.difference:.3g} {unit}" if one.claim.aim_on == "difference" else "",
            f"{one.baseline.what}: {shown(one.baseline.median)} {one.baseline.unit}",
        )
    return table


def aim_in_words(aim: float | None, aim_on: str, unit: str, *, least: bool) -> str:
    """Say what is aimed at."""
    if aim is None:
        return ""
    if aim_on == "ratio":
        return f"ratio at {'least' if least else 'most'} {aim:g}"
    if aim_on == "difference":
        return f"at most {aim:g} {unit} more"
    return f"under {aim:g} {unit}"


def rounded(value: float) -> float:
    """Keep four figures that mean something."""
    return float(f"{value:.4g}")


def shown(value: float) -> str:
    """Write a figure for people."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three figures either way
