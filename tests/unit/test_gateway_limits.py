"""Who is counted by which rule. That Envoy and the rate limiter count so is tested over the wire."""

import re
from typing import Any

import pytest

from components.gateway_limits import CONSUMER_HEADER, request_limit
from settings.gateway import Consumer, Gateway, JwtAuthentication, RemoteKeys
from settings.limits import NoLimits, Plan, RequestLimits
from settings.quotas import MOST_QUOTAS, PATTERN_LENGTH, quotas, request_limits

pytestmark = pytest.mark.unit

JWT = JwtAuthentication(
    kind="jwt",
    issuer="https://login.example.com",
    audiences=("llm",),
    keys=RemoteKeys(kind="remote", uri="https://login.example.com/jwks.json"),
)
LIMITS = RequestLimits(
    kind="requests",
    plans=(Plan(name="batch", requests_per_minute=1000), Plan(name="trial", requests_per_minute=5)),
)


def _consumer(name: str, plan: str | None = None, number: int | None = None) -> Consumer:
    return Consumer(name=name, models=("chat",), plan=plan, requests_per_minute=number)


CONSUMERS = (
    _consumer("a.b", plan="batch"),
    _consumer("a+b|c", plan="batch"),
    _consumer("small", plan="trial"),
    _consumer("own", number=7),
    _consumer("same-as-a-plan", number=5),
    _consumer("plain"),
)


def _rules(*consumers: Consumer) -> list[dict[str, Any]]:
    return request_limit(Gateway(authentication=JWT, consumers=consumers), LIMITS)["rateLimit"]["global"][
        "rules"
    ]


def _meets(rule: dict[str, Any], consumer: str | None) -> bool:
    """Whether Envoy counts a request by a rule: every header must compare, and one that is not there is counted by nothing."""
    (selector,) = rule["clientSelectors"]
    for header in selector["headers"]:
        assert header["name"] == CONSUMER_HEADER
        if header["type"] == "Distinct":
            if consumer is None:
                return False
        elif (consumer is not None and re.fullmatch(header["value"], consumer) is not None) is header[
            "invert"
        ]:
            return False
    return True


@pytest.mark.parametrize(
    ("consumer", "number"),
    [
        ("a.b", 1000),
        ("a+b|c", 1000),
        ("small", 5),
        ("own", 7),
        ("same-as-a-plan", 5),
        ("plain", 100),
        # Whom no name fits, though a pattern that is not escaped would.
        ("axb", 100),
        ("a+b", 100),
        ("c", 100),
        ("", 100),
        (None, 100),
    ],
)
def test_each_request_meets_exactly_one_rule(consumer: str | None, number: int) -> None:
    (met,) = [rule for rule in _rules(*CONSUMERS) if _meets(rule, consumer)]
    assert met["limit"] == {"requests": number, "unit": "Minute"}


def test_what_counts_is_what_a_consumer_asks_of_all_models() -> None:
    assert {rule["shared"] for rule in _rules(*CONSUMERS)} == {True}


def test_consumers_of_one_number_are_one_rule() -> None:
    assert [(quota.requests_per_minute, quota.consumers) for quota in quotas(CONSUMERS, LIMITS)] == [
        (5, ("same-as-a-plan", "small")),
        (7, ("own",)),
        (1000, ("a+b|c", "a.b")),
    ]


def test_many_consumers_are_several_rules_that_envoy_gateway_takes() -> None:
    consumers = [_consumer(f"team-{index:04}", plan="batch") for index in range(1000)]
    found = quotas(consumers, LIMITS)
    assert 1 < len(found) < MOST_QUOTAS
    assert max(len(quota.pattern) for quota in found) <= PATTERN_LENGTH
    assert [name for quota in found for name in quota.consumers] == [each.name for each in consumers]


def test_there_is_no_rule_where_nothing_is_limited() -> None:
    assert request_limit(Gateway(), None) == {}


class TestWhatIsLimited:
    def test_a_hundred_a_minute_where_tokens_are_asked_for(self) -> None:
        found = request_limits(Gateway(authentication=JWT), "managed")
        assert found is not None
        assert found.requests_per_minute == 100

    def test_nothing_without_tokens(self) -> None:
        assert request_limits(Gateway(), "managed") is None

    def test_nothing_where_the_stack_says_so(self) -> None:
        assert request_limits(Gateway(authentication=JWT, limits=NoLimits(kind="off")), "managed") is None

    def test_beside_somebody_else_s_gateway_only_what_is_written(self) -> None:
        """It may have no rate limiter, and a limit that nobody can count closes every route."""
        assert request_limits(Gateway(authentication=JWT), "existing") is None
        assert request_limits(Gateway(authentication=JWT, limits=LIMITS), "existing") == LIMITS
