"""Settings that are read and checked in full, but that this version of the program does not deploy.

One table, so that no setting is ever silently ignored. An entry goes when its component comes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from settings.draft import Draft
from settings.models import Model
from settings.problems import Problem


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """A setting of a model that waits for its component."""

    path: str
    setting: str
    uses: Callable[[Model], bool]
    instead: str


NOT_YET: Final = (
    NotYet(
        path="autoscaling.kind",
        setting="keda",
        uses=lambda model: model.autoscaling.kind == "keda",
        instead="use hpa or fixed",
    ),
    NotYet(
        path="rollout.kind",
        setting="canary",
        uses=lambda model: model.rollout.kind == "canary",
        instead="use rolling",
    ),
)


def not_deployed_yet(draft: Draft) -> list[Problem]:
    """Refuse what would be ignored."""
    return [
        Problem(
            f"models[{model.name}].{entry.path}",
            entry.setting,
            f"{entry.path} {entry.setting} is not deployed by this version",
            entry.instead,
        )
        for model in draft.models
        for entry in NOT_YET
        if entry.uses(model)
    ]
