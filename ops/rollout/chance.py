"""How likely a difference is that means nothing. Plain arithmetic, exact, for counts of any size."""

import math
from collections.abc import Callable
from typing import Final

# A term that no longer changes the sum.
_NOTHING: Final = 1e-18


def more_often(events: int, of: int, other_events: int, other_of: int) -> float:
    """Fisher's exact test, one-sided: how likely at least `events` of `of` are, if both have the same rate.

    Of all ways to deal out the events to the requests, the share that gives this side as many or more.
    """
    all_events, everything = events + other_events, of + other_of
    if events <= max(0, all_events - other_of):
        return 1.0

    def log_term(k: int) -> float:
        ways = _log_choose(of, k) + _log_choose(other_of, all_events - k)
        return ways - _log_choose(everything, all_events)

    return _at_least(
        events,
        mean=of * all_events / everything,
        lowest=max(0, all_events - other_of),
        highest=min(all_events, of),
        log_term=log_term,
    )


def at_least(events: int, of: int, rate: float) -> float:
    """Binomial test, one-sided: how likely at least `events` of `of` are, if each happens with `rate` (0 to 1, exclusive)."""
    if events <= 0:
        return 1.0

    def log_term(k: int) -> float:
        return _log_choose(of, k) + k * math.log(rate) + (of - k) * math.log1p(-rate)

    return _at_least(events, mean=of * rate, lowest=0, highest=of, log_term=log_term)


def _at_least(
    events: int, *, mean: float, lowest: int, highest: int, log_term: Callable[[int], float]
) -> float:
    """Add up the smaller tail: away from the mean terms fall, so the sum can end early, and what is 0 is really small."""
    if events > mean:
        return min(1.0, _sum(log_term, range(events, highest + 1)))
    return max(0.0, 1.0 - _sum(log_term, range(events - 1, lowest - 1, -1)))


def _sum(log_term: Callable[[int], float], ks: range) -> float:
    total = 0.0
    for k in ks:
        term = math.exp(log_term(k))
        total += term
        if term <= total * _NOTHING:
            break
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
