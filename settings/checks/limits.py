"""Limits of requests: they need somebody to count, a place for the counters, and plans that are there."""

from collections.abc import Iterable
from typing import Final

from settings.checks.naming import listed, repeated
from settings.draft import Draft
from settings.gateway import Gateway, NoAuthentication
from settings.limits import ExternalStore, RequestLimits
from settings.problems import Problem
from settings.quotas import MOST_QUOTAS, quotas, request_limits

_LIMITS: Final = "gateway.limits"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of limits."""
    gateway = draft.envoy
    if gateway is None:
        return []
    problems = [*_somebody(gateway), *_plans(gateway), *_counted(gateway, draft)]
    if isinstance(gateway.limits, RequestLimits):
        problems += repeated([plan.name for plan in gateway.limits.plans], f"{_LIMITS}.plans", "the plan")
        problems += _somebody_elses(gateway.limits, draft)
    return problems


def _somebody(gateway: Gateway) -> Iterable[Problem]:
    if isinstance(gateway.limits, RequestLimits) and isinstance(gateway.authentication, NoAuthentication):
        yield Problem(
            f"{_LIMITS}.kind",
            "requests",
            "without tokens nobody can be told from anybody, and behind a load balancer all have one address",
            "add `authentication: {kind: jwt, ...}`, or remove `limits`",
        )


def _plans(gateway: Gateway) -> Iterable[Problem]:
    known = [plan.name for plan in gateway.limits.plans] if isinstance(gateway.limits, RequestLimits) else []
    for consumer in gateway.consumers:
        path = f"gateway.consumers[{consumer.name}]"
        if consumer.plan is not None and consumer.plan not in known:
            yield Problem(f"{path}.plan", consumer.plan, "there is no such plan", _fix_of_plan(known))
        if consumer.plan is not None and consumer.requests_per_minute is not None:
            yield Problem(
                f"{path}.requests_per_minute",
                consumer.requests_per_minute,
                f"the plan {consumer.plan!r} says another number",
                "remove `plan` or `requests_per_minute`",
            )


def _fix_of_plan(known: list[str]) -> str:
    own = "add it: `limits: {kind: requests, plans: [{name: ..., requests_per_minute: ...}]}`"
    return f"use one of: {listed(known)}, or {own}" if known else own


def _counted(gateway: Gateway, draft: Draft) -> Iterable[Problem]:
    if draft.asked is None:
        return
    limits = request_limits(gateway, draft.asked.choice("envoy_gateway"))
    if limits is None:
        for consumer in gateway.consumers:
            if consumer.requests_per_minute is not None:
                yield Problem(
                    f"gateway.consumers[{consumer.name}].requests_per_minute",
                    consumer.requests_per_minute,
                    "requests are not counted",
                    "write `limits: {kind: requests}`, or remove the number",
                )
        return
    count = len(quotas(gateway.consumers, limits))
    if count > MOST_QUOTAS:
        yield Problem(
            "gateway.consumers",
            f"{count} limits",
            f"Envoy Gateway takes {MOST_QUOTAS} beside everybody's",
            "let consumers share plans, and give long lists of them shorter names",
        )


def _somebody_elses(limits: RequestLimits, draft: Draft) -> Iterable[Problem]:
    """Where somebody else installed Envoy Gateway, its rate limiter is theirs too."""
    if draft.asked is None:
        return
    choice = draft.asked.choice("envoy_gateway")
    if choice == "off":
        yield Problem(
            f"{_LIMITS}.kind",
            "requests",
            "the stack has no Envoy Gateway that could refuse a request",
            "add `envoy_gateway: managed` to `addons`, or remove `limits`",
        )
    elif choice == "existing":
        told = {"store": limits.store, "when_down": limits.when_down}
        for name, value in told.items():
            if value is not None:
                shown = value.address if isinstance(value, ExternalStore) else getattr(value, "kind", value)
                yield Problem(
                    f"{_LIMITS}.{name}",
                    shown,
                    "whoever installed Envoy Gateway configured its rate limiter",
                    f"remove `{name}`; see `rateLimit` in the configuration of Envoy Gateway",
                )
