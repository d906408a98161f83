"""Refusals that look across settings or compare them with the facts.

Each check takes a draft, returns problems, and says nothing where what it needs did not parse or was refused
by another check: one mistake should read as one problem.
"""

from collections.abc import Callable
from typing import Final

from settings.checks import (
    addons,
    capacity,
    cluster,
    data,
    eks,
    hardware,
    pools,
    selection,
    serving,
    state,
    storage,
)
from settings.draft import Draft
from settings.not_yet import not_deployed_yet
from settings.problems import Problem

CHECKS: Final[tuple[Callable[[Draft], list[Problem]], ...]] = (
    cluster.check,
    eks.check,
    storage.check,
    state.check,
    addons.check,
    data.check,
    pools.check,
    selection.check,
    serving.check,
    hardware.check,
    capacity.check,
    not_deployed_yet,
)


def check(draft: Draft) -> list[Problem]:
    """Run every check, in the order of the file."""
    return [problem for one in CHECKS for problem in one(draft)]
