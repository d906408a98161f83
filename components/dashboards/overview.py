"""The first look: how much is asked, how fast and how well it is answered, and how full the GPUs are. Pure."""

from collections.abc import Sequence
from typing import Final

from components.dashboards.panels import Board, Limit, Panel, Query, Row
from components.dashboards.selectors import (
    BY_MODEL,
    BY_VERSION,
    MODELS,
    NO_REPLICA,
    NO_REQUESTS,
    VERSIONS,
    models,
    namespaces,
    versions,
)
from components.telemetry.platform_alerts import MEMORY_FULL
from components.telemetry.recorded import FAILURES, REQUEST_P99, REQUESTS, TTFT_MEAN, TTFT_P99
from components.telemetry.rules import MODEL, TRACK, VERSION
from settings.objectives import Objectives

_VERSION: Final = f"{MODEL}, {VERSION}, {TRACK}"
MEMORY_USED: Final = "DCGM_FI_DEV_FB_USED{of} / (DCGM_FI_DEV_FB_USED{of} + DCGM_FI_DEV_FB_FREE{of} + DCGM_FI_DEV_FB_RESERVED{of})"
"""Share of a GPU's memory; in the place of `{of}` its labels."""
USUAL: Final = Objectives()
"""What a model promises that says nothing else. The lines of panels that show several models are drawn there."""


def overview(namespace: str, *, gpus: bool, alerts: Sequence[str]) -> Board:
    """Return the dashboard. `gpus`: the DCGM exporter is there. alerts: names of the stack's own."""
    return Board(
        name="overview",
        title="Models: overview",
        description="What is asked of all models, how fast and how well it is answered, and how full the GPUs are.",
        variables=(namespaces(namespace), models(), versions()),
        rows=(
            Row(panels=(_requests(), _failures())),
            Row(panels=(_first_token(), _whole_request())),
            Row(panels=((_memory(),) if gpus else ()) + (_alerts(alerts),)),
        ),
    )


def _requests() -> Panel:
    return Panel(
        title="Requests a second",
        description="Answered requests, whatever the answer was, by model, version and track.",
        unit="reqps",
        queries=(Query(expression=f"sum by ({_VERSION}) ({REQUESTS}{{{VERSIONS}}})", legend=BY_VERSION),),
        nothing=NO_REQUESTS,
    )


def _failures() -> Panel:
    failed = f"sum by ({_VERSION}) ({FAILURES}{{{VERSIONS}}})"
    return Panel(
        title="Answered with 5xx",
        description="Share of a version's requests that its engines answered with 5xx. What the gateway answers by itself is on its own dashboard.",
        unit="percentunit",
        queries=(
            Query(expression=f"{failed} / sum by ({_VERSION}) ({REQUESTS}{{{VERSIONS}}})", legend=BY_VERSION),
        ),
        nothing=NO_REQUESTS,
        limits=(Limit(value=round(1 - USUAL.availability / 100, 6), color="red"),),
        alerts=("ErrorBudgetBurnsFast", "ErrorBudgetBurns"),
    )


def _first_token() -> Panel:
    return Panel(
        title="Time to first token",
        description="Mean, and what 99 of 100 requests stay below, by model. Of an embedding it is the time to the answer.",
        unit="s",
        queries=(
            Query(expression=f"{TTFT_P99}{{{MODELS}}}", legend=f"{BY_MODEL} P99"),
            Query(expression=f"{TTFT_MEAN}{{{MODELS}}}", legend=f"{BY_MODEL} mean"),
        ),
        nothing=NO_REQUESTS,
        limits=(Limit(value=USUAL.first_token_seconds or 0, color="red"),),
        alerts=("ErrorBudgetBurnsFast", "RequestsWait"),
    )


def _whole_request() -> Panel:
    return Panel(
        title="P99 of a whole request",
        description="What 99 of 100 requests stay below, from arrival to the last token. It grows with the length of the answers.",
        unit="s",
        queries=(Query(expression=f"{REQUEST_P99}{{{MODELS}}}", legend=BY_MODEL),),
        nothing=NO_REQUESTS,
    )


def _memory() -> Panel:
    used = MEMORY_USED.replace("{of}", f"{{{MODELS}}}")
    return Panel(
        title="GPU memory in use",
        description="Share of the fullest GPU of each model. An engine takes nearly all at its start, and no more later.",
        unit="percentunit",
        queries=(Query(expression=f"max by ({MODEL}) ({used})", legend=BY_MODEL),),
        nothing=NO_REPLICA,
        limits=(Limit(value=MEMORY_FULL, color="red"),),
        alerts=("GpuMemoryFull",),
        most=1,
    )


def _alerts(names: Sequence[str]) -> Panel:
    ours = f'alertstate="firing",alertname=~"{"|".join(names)}"'
    return Panel(
        title="Alerts that fire",
        description="Of this program's rules, by severity. Alertmanager says which; each has a runbook of its own name.",
        unit="none",
        queries=tuple(
            Query(
                # Prometheus has no series of an alert that does not fire.
                expression=f'count(ALERTS{{{ours},severity="{severity}"}}) or vector(0)',
                legend=severity,
            )
            for severity in ("critical", "warning")
        ),
        nothing="Prometheus does not answer",
        limits=(Limit(value=1, color="red"),),
        now=True,
    )
