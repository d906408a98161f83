"""Which number of requests holds for whom: consumers of one number together, as few rules as Envoy Gateway takes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from settings.addons import Choice
from settings.gateway import Consumer, Gateway, NoAuthentication
from settings.limits import NoLimits, RequestLimits

PATTERN_LENGTH: Final = 1024
"""Of the value of a header that a rule compares (Envoy Gateway 1.9, HeaderMatch)."""
MOST_QUOTAS: Final = 127
"""A rule compares 128 headers, and the one of everybody else has to name all of the others."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """So many requests a minute for each of some consumers."""

    consumers: tuple[str, ...]
    requests_per_minute: int

    @property
    def pattern(self) -> str:
        """A regular expression of the whole name, in RE2."""
        return "|".join(re.escape(name) for name in self.consumers)


def request_limits(gateway: Gateway, envoy_gateway: Choice) -> RequestLimits | None:
    """Return what is limited; None is nothing.

    Without tokens nobody can be told from anybody. Where somebody else installed Envoy Gateway, it may have no rate limiter, and then a
    limit would close every route: there is one only where it is written down.
    """
    limits = gateway.limits
    if isinstance(limits, NoLimits) or isinstance(gateway.authentication, NoAuthentication):
        return None
    if limits is None and envoy_gateway != "managed":
        return None
    return limits or RequestLimits(kind="requests")


def quotas(consumers: Sequence[Consumer], limits: RequestLimits) -> list[Quota]:
    """Return the numbers other than everybody's. Each consumer is in one at most."""
    plans = {plan.name: plan.requests_per_minute for plan in limits.plans}
    numbers = {
        consumer.name: consumer.requests_per_minute or plans[consumer.plan or ""]
        for consumer in consumers
        if consumer.requests_per_minute is not None or consumer.plan in plans
    }
    ordered = sorted(numbers, key=lambda name: (numbers[name], name))
    return [
        Quota(consumers=part, requests_per_minute=number)
        for number, names in groupby(ordered, key=numbers.__getitem__)
        for part in _parts(names)
    ]


def _parts(names: Iterator[str]) -> Iterator[tuple[str, ...]]:
    """Cut names into parts whose pattern is short enough."""
    part: tuple[str, ...] = ()
    for name in names:
        longer = (*part, name)
        if part and len(Quota(consumers=longer, requests_per_minute=1).pattern) > PATTERN_LENGTH:
            yield part
            longer = (name,)
        part = longer
    yield part
