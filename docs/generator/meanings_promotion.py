"""What the settings of `promotion` mean: a part of `meanings`."""

from typing import Final

PROMOTION_MEANINGS: Final[dict[str, str]] = {
    "Settings.promotion": "What the stack is promoted from, and when; it builds no image then (`docs/promotion.md`).",
    "Promotion.source": "The stack whose release set this one gets.",
    "Promotion.soak_seconds": "For how long the set must have run there, unchanged. A day.",
    "Promotion.max_burn": "How many times of its error budget a model may have used up meanwhile.",
    "Promotion.min_requests": "Requests that a model must have answered meanwhile; fewer say nothing.",
    "Promotion.charts": "Versions of charts that were promoted. `vp promote` writes them; `pulumi up` refuses others.",
    "ChartPin.name": "What the chart installs, as the output `release` names it.",
    "ChartPin.version": "The one version that may be installed.",
}
