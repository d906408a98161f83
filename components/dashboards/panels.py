"""What a dashboard is made of, and Grafana's own JSON of it. Pure.

A panel can not be written without a unit, a description, and the words that stand where there is nothing to show: "No data"
says neither that something is broken nor that it is quiet. Its alerts lead to their runbooks.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

# Names of Grafana's (packages/grafana-data/src/valueFormats/categories.ts).
Unit = Literal[
    "reqps",
    "short",
    "none",
    "s",
    "ms",
    "percentunit",
    "percent",
    "mbytes",
    "celsius",
    "watt",
    "currencyUSD",
    "cps",
]
Height = Literal["low", "high"]
WIDTH: Final = 24
_HEIGHTS: Final[dict[Height, int]] = {"low": 4, "high": 8}
SOURCE: Final = "datasource"
"""Variable of the Prometheus that is asked; the first of Grafana's own is what the chart makes."""
RATE: Final = "[$__rate_interval]"
"""Grafana's: four scrapes at least, and more where a point on the screen is longer."""
SCRAPE_INTERVAL: Final = "15s"
ALL: Final = "$__all"
TAG: Final = "vllm-platform"
_UID_CHARACTERS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Query:
    """`expression`: PromQL with Grafana's variables. legend: a template of labels."""

    expression: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Limit:
    """From `value` on, in the panel's own unit, it is `color`."""

    value: float
    color: Literal["yellow", "orange", "red"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. `nothing`: what stands there where no query has a series. alerts: whose runbooks it leads to.

    now: the newest value as a number, in the place of its course. most: upper end of the axis.
    """

    title: str
    description: str
    unit: Unit
    queries: Sequence[Query]
    nothing: str
    limits: Sequence[Limit] = ()
    alerts: Sequence[str] = ()
    now: bool = False
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels beside each other, each as wide as the next."""

    panels: Sequence[Panel]
    height: Height = "high"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A choice above the panels: the values that a label has. several: more than one at once, and all at first.

    first: what is chosen at first, where not all.
    """

    name: str
    label: str
    values: str
    several: bool = True
    first: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard. `name`: of its file."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]

    @property
    def panels(self) -> list[Panel]:
        """All of them, in the order in which they stand."""
        return [panel for row in self.rows for panel in row.panels]


def board_json(board: Board, *, namespace: str, runbooks: str | None) -> str:
    """Return what Grafana reads. namespace: of the models; two stacks of one Grafana have dashboards of their own.

    runbooks: where they are published; None: a panel says the name of the runbook, and has no link.
    """
    made = (
        dashboard.Dashboard(f"{board.title} ({namespace})")
        .uid(uid_of(board, namespace))
        .description(board.description)
        .tags([TAG, namespace])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable(SOURCE)
            .label("Prometheus")
            .type("prometheus")
            .current(VariableOption(text="Prometheus", value="prometheus"))
        )
        .link(
            dashboard.DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG, namespace])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
        )
    )
    for variable in board.variables:
        made.with_variable(_variable(variable))
    identifier, top = 0, 0
    for row in board.rows:
        height, width = _HEIGHTS[row.height], WIDTH // len(row.panels)
        for column, panel in enumerate(row.panels):
            identifier += 1
            place = GridPos(h=height, w=width, x=column * width, y=top)
            made.with_panel(_panel(panel, runbooks).id(identifier).grid_pos(place))
        top += height
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def uid_of(board: Board, namespace: str) -> str:
    """Return the dashboard's address in Grafana, of at most 40 characters, which a namespace's name may be longer than."""
    digest = hashlib.sha256(namespace.encode()).hexdigest()[:_UID_CHARACTERS]
    return f"{board.name}-{digest}"


def _variable(variable: Variable) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(_source())
        .query({"query": variable.values, "refId": variable.name})
        # With the time that is looked at: a model that is gone is still a choice in its own time.
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    if variable.several:
        # Also what lacks the label.
        return (
            made.multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(VariableOption(text="All", value=ALL))
        )
    return made.current(VariableOption(text=variable.first, value=variable.first)) if variable.first else made


def _panel(panel: Panel, runbooks: str | None) -> timeseries.Panel | stat.Panel:
    made = _number() if panel.now else _course()
    made.title(panel.title).description(_described(panel)).unit(panel.unit).no_value(panel.nothing)
    made.datasource(_source()).min(0)
    if panel.most is not None:
        made.max(panel.most)
    colors = [
        Threshold(value=None, color="green"),
        *(Threshold(value=each.value, color=each.color) for each in panel.limits),
    ]
    made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(colors))
    if isinstance(made, timeseries.Panel) and panel.limits:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if runbooks:
        made.links([_runbook(alert, runbooks) for alert in panel.alerts])
    for number, query in enumerate(panel.queries):
        asked = (
            prometheus.Dataquery()
            .expr(query.expression)
            .legend_format(query.legend)
            .ref_id(chr(ord("A") + number))
        )
        asked.datasource(_source())
        made.with_target(asked.instant() if panel.now else asked.range().interval(SCRAPE_INTERVAL))
    return made


def _described(panel: Panel) -> str:
    if not panel.alerts:
        return panel.description
    return f"{panel.description} Runbooks: {', '.join(panel.alerts)}."


def _runbook(alert: str, runbooks: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(f"Runbook: {alert}")
        .type(DashboardLinkType.LINK)
        .url(f"{runbooks}/{alert}.md")
        .target_blank(target_blank=True)
    )


def _course() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(10)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )


def _number() -> stat.Panel:
    return (
        stat.Panel()
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _source() -> DataSourceRef:
    return DataSourceRef(type_val="prometheus", uid=f"${{{SOURCE}}}")
