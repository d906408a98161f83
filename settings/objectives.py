"""What a model promises: objectives of its service, which alerts on its error budget are made of.

A time is the upper bound of a bucket of the engine's own histogram: only for such a time is known exactly how many
requests took longer. 99 of 100 requests are to be faster (P99).
"""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from settings.base import Section, refusal

# Upper bounds in seconds, of vLLM 0.32.0.
FIRST_TOKEN_BOUNDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
INTER_TOKEN_BOUNDS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST_BOUNDS: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
LOWEST_AVAILABILITY: Final = 95.0
"""Percent. The fastest alert is at 14.4 times the error budget, which no model could reach that promised less than 93."""


def _bound_of(bounds: tuple[float, ...]) -> Callable[[float], float]:
    def check(value: float) -> float:
        if value not in bounds:
            nearest = min(bounds, key=lambda bound: abs(bound - value))
            listed = ", ".join(f"{bound:g}" for bound in bounds)
            reason = f"the engine counts requests by the bounds {listed}, and can not tell how many took longer than this"
            raise refusal(reason, f"use {nearest:g}")
        return value

    return check


Availability = Annotated[float, Field(strict=True, ge=LOWEST_AVAILABILITY, lt=100)]
FirstToken = Annotated[float, Field(strict=True), AfterValidator(_bound_of(FIRST_TOKEN_BOUNDS))]
InterToken = Annotated[float, Field(strict=True), AfterValidator(_bound_of(INTER_TOKEN_BOUNDS))]
WholeRequest = Annotated[float, Field(strict=True), AfterValidator(_bound_of(REQUEST_BOUNDS))]


class Objectives(Section):
    """Of one model, over both versions of a rollout.

    availability: percent of its requests that are not answered with 5xx. The others are seconds, of the slowest of the
    fastest 99 %: to the first token (of an embedding: to the answer), between two tokens, of a whole request.
    """

    availability: Availability = 99.5
    first_token_seconds: FirstToken | None = 2.5
    inter_token_seconds: InterToken | None = None
    request_seconds: WholeRequest | None = None
