"""Whether the models of a stack kept their objectives while they ran: asked of its Prometheus, by its own recorded ratios."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ops.rollout.prometheus import Prometheus
from ops.rollout.queries import Window, engine_requests, pods_of
from settings.models import Model
from settings.promotion import Promotion

ERRORS: Final = "model:slo_errors:ratio_rate"
"""Recorded by a stack: the share of a model's requests that broke an objective; the window is behind it."""
WINDOWS: Final = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400, "3d": 259200}
"""Those that are recorded, in seconds."""
P99_BUDGET: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How one model did. lines: each objective with its share and its budget. broken: why it may not be promoted."""

    model: str
    lines: tuple[str, ...]
    broken: tuple[str, ...]


def window_for(soak_seconds: int) -> str:
    """Return the longest recorded window that is no longer than the soak; at least the shortest."""
    fitting = [name for name, seconds in WINDOWS.items() if seconds <= soak_seconds]
    return fitting[-1] if fitting else next(iter(WINDOWS))


def budgets_of(model: Model) -> dict[str, float]:
    """Return the share of a model's requests that may break each of its objectives, by its name."""
    asked = model.objectives
    found = {"availability": round(1 - asked.availability / 100, 6)}
    for slo, bound in (
        ("first-token", asked.first_token_seconds),
        ("inter-token", asked.inter_token_seconds),
        ("request", asked.request_seconds),
    ):
        if bound is not None:
            found[slo] = P99_BUDGET
    return found


def judge_model(prometheus: Prometheus, namespace: str, model: Model, promotion: Promotion) -> Kept:
    """Ask how a model did over the soak. What nobody can say is not kept. Raises PrometheusError."""
    window = window_for(promotion.soak_seconds)
    labels = f'{{namespace="{namespace}",model="{model.name}"}}'
    requests = engine_requests(pods_of(model.name, namespace), Window(seconds=WINDOWS[window]), "any")
    answered = sum(sample.value for sample in prometheus.ask(requests))
    shares = {
        sample.labels.get("slo", ""): sample.value for sample in prometheus.ask(f"{ERRORS}{window}{labels}")
    }
    lines: list[str] = [f"{answered:.0f} requests in {window}"]
    broken: list[str] = []
    if answered < promotion.min_requests:
        broken.append(
            f"{answered:.0f} requests in {window}, and {promotion.min_requests} say something (`promotion.min_requests`)"
        )
    for line, why in _objectives(shares, budgets_of(model), promotion.max_burn, window):
        lines.append(line)
        broken += [why] if why else []
    return Kept(model=model.name, lines=tuple(lines), broken=tuple(broken))


def _objectives(
    shares: dict[str, float], budgets: dict[str, float], burn: float, window: str
) -> Iterator[tuple[str, str]]:
    for slo, budget in budgets.items():
        share = shares.get(slo)
        if share is None:
            yield f"{slo}: no number", f"{slo}: nothing is recorded over {window}"
            continue
        line = f"{slo}: {share:.3%} broke it in {window}, {burn * budget:.3%} may"
        yield line, line if share > burn * budget else ""
