"""Whether a canary is as good as what runs beside it. Pure: numbers in, a verdict out.

A check is `bad` only where chance does not explain it: with a few requests one failure proves nothing. It is `good` only
where there was enough traffic and the number itself is within its limit. Everything else is `open`, and waits for more
traffic; what stays open for too long is no success either, and the driver goes back.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ops.rollout.chance import at_least, more_often
from settings.rollout import Judge

Opinion = Literal["good", "bad", "open"]
CHANCE: Final = 0.001
"""A difference that is less likely than this by chance is one. Small, because a step is looked at again and again."""
Time = Literal["first token", "inter-token"]
_TAIL: Final = 0.05
"""Of the requests, beyond the 95th percentile."""


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Counts over the window. None: nobody says; 0: somebody says that there were none.

    refused: statuses of 400 to 499 that the model gave. failed: 500 or more.
    """

    total: float | None = None
    refused: float | None = None
    failed: float | None = None


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A histogram: upper bounds in seconds, rising, the last one infinite, each with the count of what is no longer.

    Without buckets nobody says anything.
    """

    buckets: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> float:
        """How many were measured."""
        return self.buckets[-1][1] if self.buckets else 0.0

    def quantile(self, share: float) -> float | None:
        """Return the time in seconds that a share of all does not exceed, as Prometheus reads it off; None where nothing was measured."""
        rank = share * self.count
        if not self.count > 0:
            return None
        lower, below = 0.0, 0.0
        for bound, count in self.buckets:
            if count >= rank:
                if math.isinf(bound):
                    return lower
                return lower + (bound - lower) * (rank - below) / (count - below)
            lower, below = bound, count
        return lower

    def share_beyond(self, seconds: float) -> float:
        """Return the share that took longer, 0 to 1. Beyond the last finite bound nothing is known to be."""
        lower, below = 0.0, 0.0
        for bound, count in self.buckets:
            if seconds < bound:
                if math.isinf(bound):
                    return 0.0
                inside = (count - below) * (seconds - lower) / (bound - lower)
                return 1.0 - (below + inside) / self.count
            lower, below = bound, count
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that was measured of one release over the window.

    engine: by the pods' own count. gateway: by its count, which also knows of pods that it could not reach.
    times: what is asked for, by its name.
    """

    engine: Requests = Requests()
    gateway: Requests = Requests()
    times: Mapping[Time, Distribution] = field(default_factory=dict[Time, Distribution])


@dataclass(frozen=True, kw_only=True)
class Health:
    """What Kubernetes says of the candidate. restarts: of its containers, since they are there.

    replicas: that are ready; None where nobody says.
    """

    state: Literal["ready", "not ready yet", "not ready"]
    replicas: int | None = None
    restarts: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison, with both sides and the limit as they are shown."""

    name: str
    opinion: Opinion
    stable: str
    canary: str
    limit: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All checks of one look."""

    checks: tuple[Check, ...]

    @property
    def opinion(self) -> Opinion:
        """Bad if one is bad, good if all are good."""
        opinions = {check.opinion for check in self.checks}
        if "bad" in opinions:
            return "bad"
        return "good" if opinions == {"good"} else "open"

    @property
    def reasons(self) -> list[str]:
        """What is not good, with its numbers."""
        return [
            f"{check.name}: {check.why} (stable {check.stable}, canary {check.canary}, limit {check.limit})"
            for check in self.checks
            if check.opinion != "good"
        ]


def judge(
    limits: Judge, *, canary: Measured, stable: Measured, health: Health, replicas: int, traffic: bool
) -> Verdict:
    """Compare. replicas: of the canary that must be ready, for this step and the next.

    traffic: the canary has a share of it in this step; without one only its pods can be judged.
    """
    checks = [_health(health, traffic=traffic), _replicas(health, replicas)]
    if traffic:
        requests = canary.engine.total or 0.0
        enough = requests >= limits.min_requests
        checks += [
            _requests(limits, canary.engine, stable.engine),
            _failed("engine 5xx", limits, canary.engine, stable.engine, enough=enough),
            _refused("engine 4xx", limits, canary.engine, stable.engine, enough=enough),
            _failed("gateway 5xx", limits, canary.gateway, stable.gateway, enough=enough),
        ]
        checks += [
            _times(name, ours, stable.times.get(name, Distribution()), limits, requests=requests)
            for name, ours in canary.times.items()
        ]
    return Verdict(checks=tuple(checks))


def _health(health: Health, *, traffic: bool) -> Check:
    opinions: dict[str, Opinion] = {"ready": "good", "not ready yet": "open", "not ready": "bad"}
    wrong = f"containers restarted {health.restarts} times" if health.restarts else ""
    if traffic and health.replicas == 0:
        wrong = "no pod is ready, so the gateway answers 503 to its share of the traffic"
    return Check(
        name="pods",
        opinion="bad" if wrong else opinions[health.state],
        stable="-",
        canary=f"{health.state}, {health.restarts} restarts",
        limit="ready, 0 restarts",
        why=wrong or health.why,
    )


def _replicas(health: Health, wanted: int) -> Check:
    enough = health.replicas is not None and health.replicas >= wanted
    return Check(
        name="replicas",
        opinion="good" if enough else "open",
        stable="-",
        canary=_count(health.replicas),
        limit=f"at least {wanted}",
        why="" if enough else "the next step's are not all there yet",
    )


def _requests(limits: Judge, canary: Requests, stable: Requests) -> Check:
    total = canary.total
    enough = total is not None and total >= limits.min_requests
    return Check(
        name="requests",
        opinion="good" if enough else "open",
        stable=_count(stable.total),
        canary=_count(total),
        limit=f"at least {limits.min_requests}",
        why="" if enough else ("no data" if total is None else "not enough traffic yet"),
    )


def _failed(name: str, limits: Judge, canary: Requests, stable: Requests, *, enough: bool) -> Check:
    ours, theirs = (canary.failed, canary.total), (stable.failed, stable.total)
    return _share(name, limits.max_error_ratio, ours, theirs, enough=enough)


def _refused(name: str, limits: Judge, canary: Requests, stable: Requests, *, enough: bool) -> Check:
    """Compare what was refused: a release that knows another name or another template is broken without one 5xx.

    What the stable release refuses is its callers' doing, so the limit is as far above that as errors may be above none.
    """
    ours, theirs = (canary.refused, canary.total), (stable.refused, stable.total)
    usual = (stable.refused or 0.0) / stable.total if stable.total else 0.0
    return _share(name, min(1.0, usual + limits.max_error_ratio), ours, theirs, enough=enough)


def _share(
    name: str,
    limit: float,
    canary: tuple[float | None, float | None],
    stable: tuple[float | None, float | None],
    *,
    enough: bool,
) -> Check:
    (events, total), (other_events, other_total) = canary, stable
    opinion: Opinion = "open"
    why = "no data to compare"
    if total and other_total and events is not None and other_events is not None:
        opinion, why = _opinion_of_share(
            limit, (round(events), round(total)), (round(other_events), round(other_total)), enough=enough
        )
    return Check(
        name=name,
        opinion=opinion,
        stable=_ratio(other_events, other_total),
        canary=_ratio(events, total),
        limit=f"{limit:.2%}",
        why=why,
    )


def _opinion_of_share(
    limit: float, canary: tuple[int, int], stable: tuple[int, int], *, enough: bool
) -> tuple[Opinion, str]:
    (events, total), (other_events, other_total) = canary, stable
    within = events <= limit * total
    if not within:
        chance = more_often(min(events, total), total, min(other_events, other_total), other_total)
        if chance < CHANCE:
            return "bad", f"above the limit, and not by chance ({_chance(chance)})"
        return "open", f"above the limit, but it may be chance ({_chance(chance)})"
    return ("good", "") if enough else ("open", "not enough traffic yet")


def _times(
    name: Time, canary: Distribution, stable: Distribution, limits: Judge, *, requests: float
) -> Check:
    """Compare 95th percentiles. Tokens of one request are not independent of each other: it counts as one."""
    ratio, bound = _limits_of(name, limits)
    ours, theirs = canary.quantile(1 - _TAIL), stable.quantile(1 - _TAIL)
    opinion: Opinion = "open"
    why, limit = "no data to compare", f"{ratio:g} x stable"
    if ours is not None and theirs:
        most = min(theirs * ratio, bound or math.inf)
        limit = _seconds(most)
        if ours <= most:
            enough = requests >= limits.min_requests
            opinion, why = ("good", "") if enough else ("open", "not enough traffic yet")
        else:
            counted = round(min(canary.count, requests))
            chance = at_least(round(canary.share_beyond(most) * counted), counted, _TAIL)
            opinion, why = _slower(chance, enough=counted >= limits.min_requests)
    return Check(
        name=f"{name} p95",
        opinion=opinion,
        stable=_seconds(theirs),
        canary=_seconds(ours),
        limit=limit,
        why=why,
    )


def _limits_of(name: Time, limits: Judge) -> tuple[float, float | None]:
    """Return the most by the stable release's, and in seconds."""
    if name == "inter-token":
        return limits.max_inter_token_p95_ratio, limits.max_inter_token_p95_seconds
    return limits.max_ttft_p95_ratio, limits.max_ttft_p95_seconds


def _slower(chance: float, *, enough: bool) -> tuple[Opinion, str]:
    if enough and chance < CHANCE:
        return "bad", f"slower, and not by chance ({_chance(chance)})"
    return "open", f"slower, but it may be chance ({_chance(chance)})"


def _count(value: float | None) -> str:
    return "no data" if value is None else f"{value:.0f}"


def _ratio(events: float | None, total: float | None) -> str:
    if not total:
        return "no data" if total is None else "0 of 0"
    return f"{(events or 0.0) / total:.2%} of {total:.0f}"


def _chance(value: float) -> str:
    return "p < 0.00001" if value < 0.00001 else f"p = {value:.1g}"  # noqa: PLR2004 - for the eye


def _seconds(value: float | None) -> str:
    return "no data" if value is None else f"{value * 1000:.0f} ms"
