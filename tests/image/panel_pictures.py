"""Pictures of the dashboards: each panel as Prometheus answers it, without a Grafana.

`VP_PICTURES=docs/pictures make test-image` writes those that the documents show.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from components.dashboards.panels import Panel
from settings import Settings
from tests.live_prometheus import Prometheus
from tests.promql import questions

COLUMNS: Final = 3
DOTS_PER_INCH: Final = 70
_PANEL_INCHES: Final = (5.0, 2.4)
_LINES: Final = 6
"""Of one panel: more legends than that would hide the picture."""
_WORDS: Final[Mapping[str, str]] = {
    "reqps": "requests/s",
    "percentunit": "share",
    "mbytes": "MB",
    "celsius": "°C",
    "watt": "W",
    "currencyUSD": "USD",
    "cps": "1/s",
    "percent": "%",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series of a panel. points: seconds before now, and values."""

    legend: str
    points: list[tuple[float, float]]


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Return a legend as Grafana makes it of a series' labels."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), template)


def draw_all(settings: Settings, prometheus: Prometheus, seconds: float, folder: Path) -> dict[str, int]:
    """Draw every dashboard of a stack over the last seconds. Return how many lines each has."""
    drawn: dict[str, int] = {}
    for board, asked in groupby(questions(settings), key=lambda question: question[0]):
        lines: dict[str, list[Line]] = {panel.title: [] for panel in board.panels}
        for _, panel, query, expression in asked:
            lines[panel.title] += [
                Line(legend=legend(query.legend, labels), points=points)
                for labels, points in prometheus.course(expression, seconds, step=1)
            ]
        title = f"{board.title}: an engine on a CPU, a replay of the rest"
        shown = [(panel, lines[panel.title]) for panel in board.panels]
        _draw(title, shown, seconds, folder / f"{board.name}.png")
        drawn[board.name] = sum(map(len, lines.values()))
    return drawn


def _draw(title: str, panels: Sequence[tuple[Panel, list[Line]]], seconds: float, file: Path) -> None:
    rows = math.ceil(len(panels) / COLUMNS)
    width, height = _PANEL_INCHES
    # Its types leave open what else a method takes.
    figure: Any = Figure(
        figsize=(width * COLUMNS, height * rows + 0.5), dpi=DOTS_PER_INCH, layout="constrained"
    )
    figure.suptitle(title)
    for number, (panel, lines) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        axes.set_title(panel.title, fontsize=9)
        axes.set_ylabel(_WORDS.get(panel.unit, panel.unit), fontsize=7)
        axes.tick_params(labelsize=7)
        for line in lines[:_LINES]:
            axes.plot(*zip(*line.points, strict=True), label=line.legend, linewidth=1)
        axes.set_xlim(-seconds, 0)
        axes.set_xlabel("seconds", fontsize=7)
        if lines:
            axes.legend(fontsize=6, loc="upper left")
        else:
            axes.text(0.5, 0.5, panel.nothing, ha="center", va="center", fontsize=7, wrap=True)
    figure.savefig(file)
