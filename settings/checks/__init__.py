"""Refusals that look across settings or compare them with the facts.

Each check takes a draft, returns problems, and says nothing where what it needs did not parse or was refused
by another check: one mistake should read as one problem.
"""

from collections.abc import Callable
from typing import Final

from settings.checks import (
    adapters,
    addons,
    alerting,
    audit,
    capacity,
    cluster,
    cost,
    data,
    eks,
    filters,
    gateway,
    hardware,
    images,
    kong,
    limits,
    pools,
    promotion,
    rollout,
    scaling,
    secrets,
    security,
    selection,
    serving,
    state,
    storage,
)
from settings.draft import Draft
from settings.problems import Problem

CHECKS: Final[tuple[Callable[[Draft], list[Problem]], ...]] = (
    cluster.check,
    eks.check,
    storage.check,
    state.check,
    addons.check,
    secrets.check,
    audit.check,
    alerting.check,
    gateway.check,
    limits.check,
    kong.check,
    security.check,
    data.check,
    pools.check,
    selection.check,
    images.check,
    scaling.check,
    serving.check,
    filters.check,
    rollout.check,
    adapters.check,
    hardware.check,
    capacity.check,
    cost.check,
    promotion.check,
)


def check(draft: Draft) -> list[Problem]:
    """Run every check, in the order of the file."""
    return [problem for one in CHECKS for problem in one(draft)]
