"""How a new version of a model replaces the old one: a few replicas at a time, or beside it on a share of the traffic."""

from math import ceil
from typing import Annotated, Final, Literal

from pydantic import Field

from settings.base import Section
from settings.release import ReleaseChange
from settings.scalars import Count, Positive, Seconds

WHOLE: Final = 100
"""All of the traffic, in percent."""

Ratio = Annotated[float, Field(strict=True, gt=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class RollingRollout(Section):
    """Replace replicas a few at a time. `max_surge` extra replicas need GPUs of their own while it lasts."""

    kind: Literal["rolling"]
    max_surge: Count = 1
    max_unavailable: Count = 0


class Judge(Section):
    """When a step is good. All figures are of the step's bake time, the new version's against the old one's.

    min_requests: answers of the new version below which nothing is decided.
    max_error_ratio: share of the new version's answers that are server errors (5xx).
    max_ttft_p95_ratio, max_inter_token_p95_ratio: of the 95th percentiles, new by old.
    max_ttft_p95_seconds, max_inter_token_p95_seconds: bounds that hold whatever the old version does; None is none.
    max_wait_seconds: from a step's beginning, until what could not be shown to be good counts as bad.
    """

    min_requests: Positive = 50
    max_error_ratio: Share = 0.01
    max_ttft_p95_ratio: Ratio = 1.2
    max_inter_token_p95_ratio: Ratio = 1.2
    max_ttft_p95_seconds: Ratio | None = None
    max_inter_token_p95_seconds: Ratio | None = None
    max_wait_seconds: Positive = 3600


class Candidate(Section):
    """The new version while a rollout is under way. `vp rollout` writes it; a commit moves it on.

    step: index into the steps.
    replicas: what carries all of the traffic while the rollout lasts. So many of the old version stand until the
    end, and the new one's shares are of it. None is the scaler's minimum.
    """

    release: ReleaseChange
    step: Count = 0
    replicas: Positive | None = None


class CanaryRollout(Section):
    """Send a rising share of the traffic, in percent, to the new version beside the old one.

    A first step of 0 lets the new version stand warm, without traffic; [0, 100] is blue/green.
    max_surge, max_unavailable: how the old version's own replicas are replaced, when it takes over what was the
    candidate's, or when other settings of the model change.
    """

    kind: Literal["canary"]
    steps: Annotated[tuple[Annotated[int, Field(strict=True)], ...], Field(min_length=1)]
    max_surge: Count = 1
    max_unavailable: Count = 0
    bake_seconds: Seconds = 600
    judge: Judge = Judge()
    candidate: Candidate | None = None

    @property
    def weight(self) -> int:
        """Percent of the traffic that the new version has; 0 where there is none."""
        return self._at(0)

    @property
    def next_weight(self) -> int:
        """Percent that the next step gives to it, which its replicas are there for already; at the last step the same."""
        return self._at(1)

    def _at(self, ahead: int) -> int:
        if self.candidate is None:
            return 0
        # A step beyond the last one is refused; the other checks still run.
        return self.steps[min(self.candidate.step + ahead, len(self.steps) - 1)]


Rollout = Annotated[RollingRollout | CanaryRollout, Field(discriminator="kind")]


def share_of(replicas: int, weight: int) -> int:
    """Return how many of `replicas` carry `weight` percent of what all of them do: at least one."""
    return max(1, ceil(replicas * weight / WHOLE))
