"""What a stack costs a month, line by line: from its settings and the price lists, without asking anybody.

Three sums: at the fewest nodes, as expected, and with every pool at its largest. A month has 730 hours.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from settings.cost_lines import Line, ModelShare, Span, always, total
from settings.estimate_nodes import model_shares, node_lines
from settings.estimate_services import service_lines
from settings.facts import Prices, prices
from settings.price_list import ServicePrices, service_prices
from settings.problems import Problem
from settings.stack import Settings


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """All lines of a stack, and what of the nodes' lines is each model's."""

    currency: str
    lines: tuple[Line, ...]
    models: tuple[ModelShare, ...]

    @property
    def total(self) -> Span:
        """The sum of all lines with a price."""
        return total(self.lines)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Lines whose price is not known, and which are therefore in no sum."""
        return tuple(f"{line.group}: {line.name}" for line in self.lines if line.price is None)


def estimate(
    settings: Settings, instances: Prices | None = None, services: ServicePrices | None = None
) -> Estimate:
    """Return what a stack costs. instances, services: price lists, where they are not the project's own."""
    listed, beside = instances or prices(), services or service_prices()
    return Estimate(
        currency=listed.currency,
        lines=tuple(_some((*node_lines(settings, listed, beside), *service_lines(settings, beside)))),
        models=model_shares(settings, listed, beside),
    )


def budget_problem(settings: Settings, found: Estimate | None = None) -> Problem | None:
    """Return what is wrong where a stack has a budget and costs more, or can not be priced; else None.

    The one place that compares: whoever loads a stack file calls it, and the policy pack leaves it to that.
    """
    budget = settings.cost.budget
    if budget is None:
        return None
    found = found or estimate(settings)
    path, currency = "cost.budget.monthly", found.currency
    if found.unpriced:
        return Problem(
            path,
            budget.monthly,
            f"can not be compared: there is no list price in {settings.cluster.region} of {', '.join(found.unpriced)}",
            f"run `vp prices refresh --region {settings.cluster.region}`, or write what it costs in cost.pools",
        )
    spent = found.total.of(budget.of)
    if spent <= budget.monthly:
        return None
    largest = sorted(found.lines, key=lambda line: -(line.monthly or always(0)).of(budget.of))[:3]
    named = ", ".join(f"{line.name} {(line.monthly or always(0)).of(budget.of):,.0f}" for line in largest)
    return Problem(
        path,
        budget.monthly,
        f"the stack costs {spent:,.0f} {currency} a month ({budget.of}), of that {named}",
        f"ask for less (`vp cost` shows every line), or write at least {math.ceil(spent)}",
    )


def _some(lines: Iterable[Line]) -> Iterator[Line]:
    """Leave out what there is nothing of."""
    return (line for line in lines if any(line.quantity.values))
