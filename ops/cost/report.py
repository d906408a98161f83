"""An estimate as plain values: what `vp cost --output json` prints, and what two sides of a change are compared by."""

import datetime as dt
from typing import Any, Final

from settings.cost_lines import COLUMNS, Line, ModelShare, Span
from settings.estimate import Estimate, budget_problem, estimate
from settings.facts import Prices, prices
from settings.price_list import ServicePrices, price_warnings, service_prices
from settings.stack import Settings

FORM: Final = 1
"""Goes up when the values' form changes: two sides of different forms are not compared."""


def report(
    stack: str,
    settings: Settings,
    today: dt.date,
    instances: Prices | None = None,
    services: ServicePrices | None = None,
) -> dict[str, Any]:
    """Return what a stack costs. Amounts are in three columns, `min`, `expected`, `max`, and unrounded.

    instances, services: price lists, where they are not the project's own.
    """
    listed, beside = instances or prices(), services or service_prices()
    found = estimate(settings, listed, beside)
    return {
        "form": FORM,
        "stack": stack,
        "region": settings.cluster.region,
        "currency": found.currency,
        "prices": [
            {"of": "instances", "date": str(listed.date), "source": " ".join(listed.source.split())},
            {"of": "services", "date": str(beside.date), "source": " ".join(beside.source.split())},
        ],
        "warnings": price_warnings(today, listed, beside),
        "lines": [_line(line) for line in found.lines],
        "models": [_model(model) for model in found.models],
        "total": _span(found.total),
        "unpriced": list(found.unpriced),
        "budget": _budget(settings, found),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "group": line.group,
        "name": line.name,
        "quantity": _span(line.quantity),
        "unit": line.unit,
        "unit_price": line.price,
        "monthly": _span(line.monthly),
        "note": line.note,
    }


def _model(model: ModelShare) -> dict[str, Any]:
    throughput = model.throughput
    return {
        "name": model.name,
        "pool": model.pool,
        "replicas": _span(model.replicas),
        "replica_monthly": model.replica_monthly,
        "monthly": _span(model.monthly),
        "per_million_tokens": model.per_million_tokens,
        "throughput": throughput
        and {"tokens_per_second": throughput[0], "kind": throughput[1], "source": throughput[2]},
    }


def _budget(settings: Settings, found: Estimate) -> dict[str, Any] | None:
    budget = settings.cost.budget
    if budget is None:
        return None
    problem = budget_problem(settings, found)
    return {"monthly": budget.monthly, "of": budget.of, "problem": problem and str(problem)}


def _span(span: Span | None) -> dict[str, float] | None:
    return None if span is None else dict(zip(COLUMNS, span.values, strict=True))
