"""Objectives of a model as rules: how much of the error budget is being used, in several windows, and alerts on it. Pure.

An alert looks at two windows at once (Google's SRE workbook, chapter 5): the long one says that it matters, the short one
that it still goes on. At 14.4 times the budget an hour takes 2 % of a month's, at 6 times six hours take 5 %: that is
critical. At 3 times a day takes 10 %, at the rate of the budget three days take 10 %: that is a warning.

Where no request came there is no ratio, so no alert. Of few requests one that failed is a large share: a model that is asked
less than some hundred times an hour needs a lower objective.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from components.signals import gateway_cluster
from components.telemetry.rules import Alert, Rule, Severity, group, of_model, record
from settings.models import Model

ERRORS: Final = "model:slo_errors:ratio_rate"
"""Share of a model's requests that broke an objective, 0 to 1; the window is behind it. Labels: namespace, model, slo."""
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BURNS: Final[dict[Severity, tuple[tuple[float, str, str], ...]]] = {
    "critical": ((14.4, "1h", "5m"), (6, "6h", "30m")),
    "warning": ((3, "1d", "2h"), (1, "3d", "6h")),
}
"""Times of the budget, the long window, the short one."""
ALERTS: Final[dict[Severity, str]] = {"critical": "ErrorBudgetBurnsFast", "warning": "ErrorBudgetBurns"}
_WAIT: Final[dict[Severity, str]] = {"critical": "2m", "warning": "15m"}
_P99_BUDGET: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Objective:
    """`slo`: its name. budget: share of the requests that may break it. bad, all_of: counters with `WINDOW` in them."""

    slo: str
    budget: float
    bad: str
    all_of: str

    def ratio(self, window: str) -> str:
        """Return the share of bad ones; of no request it is no number, and no alert's."""
        return f"({self.bad}) / ({self.all_of})".replace("WINDOW", window)


def objectives_of(namespace: str, model: Model, *, gateway: bool) -> Iterator[Objective]:
    """Yield the objectives of a model. `gateway`: it counts the requests, also those that reached no engine."""
    asked = model.objectives
    bad, all_of = _failures(namespace, model, gateway=gateway)
    yield Objective(slo="availability", budget=round(1 - asked.availability / 100, 6), bad=bad, all_of=all_of)
    for slo, histogram, bound in (
        ("first-token", "vllm:time_to_first_token_seconds", asked.first_token_seconds),
        ("inter-token", "vllm:inter_token_latency_seconds", asked.inter_token_seconds),
        ("request", "vllm:e2e_request_latency_seconds", asked.request_seconds),
    ):
        if bound is not None:
            every = f"sum(rate({histogram}_count{of_model(namespace, model.name)}[WINDOW]))"
            within = of_model(namespace, model.name, f'le="{float(bound)}"')
            quick = f"sum(rate({histogram}_bucket{within}[WINDOW]))"
            yield Objective(slo=slo, budget=_P99_BUDGET, bad=f"{every} - {quick}", all_of=every)


def objective_rules(namespace: str, model: Model, *, gateway: bool) -> list[dict[str, Any]]:
    """Return the groups of a model: its ratios, and the alerts on them."""
    objectives = [*objectives_of(namespace, model, gateway=gateway)]
    ratios: list[Rule] = [
        record(ERRORS + window, each.ratio(window), namespace=namespace, model=model.name, slo=each.slo)
        for each in objectives
        for window in WINDOWS
    ]
    alerts = [_alert(severity, namespace, model.name, each) for each in objectives for severity in BURNS]
    return [
        group(f"{model.name}-objectives", ratios),
        group(f"{model.name}-error-budgets", [alert.rule() for alert in alerts]),
    ]


def _failures(namespace: str, model: Model, *, gateway: bool) -> tuple[str, str]:
    """Return what counts failures and all requests. A counter of failures that is not there yet counts none."""
    if gateway:
        cluster = f'envoy_cluster_name="{gateway_cluster(namespace, model.name)}"'
        metric, every, failed = (
            "envoy_cluster_upstream_rq_xx",
            f"{{{cluster}}}",
            f'{{{cluster},envoy_response_code_class="5"}}',
        )
    else:
        metric = "vllm_platform_requests_total"
        every = of_model(namespace, model.name)
        failed = of_model(namespace, model.name, 'status_code=~"5.."')
    all_of = f"sum(rate({metric}{every}[WINDOW]))"
    return f"sum(rate({metric}{failed}[WINDOW])) or 0 * {all_of}", all_of


def _alert(severity: Severity, namespace: str, model: str, objective: Objective) -> Alert:
    labels = f'{{namespace="{namespace}",model="{model}",slo="{objective.slo}"}}'
    burns = [
        f"({ERRORS}{long}{labels} > {_limit(times, objective)} and {ERRORS}{short}{labels} > {_limit(times, objective)})"
        for times, long, short in BURNS[severity]
    ]
    return Alert(
        name=ALERTS[severity],
        severity=severity,
        expression=" or ".join(burns),
        wait=_WAIT[severity],
        summary=f"{model} uses up its error budget of {objective.slo}",
        description=(
            "{{ $value | humanizePercentage }} of the requests broke the objective; "
            f"{100 * objective.budget:g} % may."
        ),
        labels={"model": model, "slo": objective.slo},
    )


def _limit(times: float, objective: Objective) -> str:
    return f"{times * objective.budget:.6g}"
