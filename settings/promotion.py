"""What a stack is promoted from, and what must have been seen there first (`docs/promotion.md`)."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.scalars import Count, Seconds

DAY_SECONDS: Final = 86_400
LONGEST_SOAK_SECONDS: Final = 90 * DAY_SECONDS
"""Longer, and the stack would never be promoted to: a mistake in the unit."""

Word = Annotated[str, Field(min_length=1)]
Burn = Annotated[float, Field(strict=True, gt=0, le=1)]


def _soak(value: int) -> int:
    if value > LONGEST_SOAK_SECONDS:
        raise refusal(
            f"is {value / DAY_SECONDS:.0f} days: nothing would ever have run for so long",
            f"write seconds, at most {LONGEST_SOAK_SECONDS}; a day is {DAY_SECONDS}",
        )
    return value


class ChartPin(Section):
    """The version of one chart, by the unit that it installs. `vp promote` writes it."""

    name: Word
    version: Word


class Promotion(Section):
    """source: the stack whose release set this one gets. soak_seconds: for how long it must have run there, unchanged.

    max_burn: times of its error budget that a model may have used up meanwhile.
    min_requests: that it must have answered meanwhile; fewer say nothing about its objectives.
    charts: what was promoted. `pulumi up` refuses to install another version; a unit that is not listed is free.
    """

    source: Word
    soak_seconds: Annotated[Seconds, AfterValidator(_soak)] = DAY_SECONDS
    max_burn: Burn = 1.0
    min_requests: Count = 50
    charts: tuple[ChartPin, ...] = ()

    @property
    def pins(self) -> dict[str, str]:
        """The promoted versions, by unit."""
        return {pin.name: pin.version for pin in self.charts}
