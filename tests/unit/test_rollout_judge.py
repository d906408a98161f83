"""The judge: numbers in, a verdict out. What is not known is never good, and chance is never bad."""

import math
from fractions import Fraction
from math import comb
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.rollout.chance import at_least, more_often
from ops.rollout.judge import Distribution, Health, Measured, Opinion, Requests, Verdict, judge
from settings.rollout import Judge

pytestmark = pytest.mark.unit

LIMITS: Final = Judge()
READY: Final = Health(state="ready", replicas=2)
BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, math.inf)


def took(**counts: float) -> Distribution:
    """Requests by their bucket: `took(upto_250=95, upto_1000=5)`, in milliseconds; `more` is beyond all bounds."""
    names = ("upto_100", "upto_250", "upto_500", "upto_1000", "upto_2500", "more")
    total, buckets = 0.0, list[tuple[float, float]]()
    for name, bound in zip(names, BOUNDS, strict=True):
        total += counts.pop(name, 0.0)
        buckets.append((bound, total))
    assert not counts
    return Distribution(buckets=tuple(buckets))


FAST: Final = took(upto_100=900, upto_250=100)


def measured(
    total: float | None = 1000,
    *,
    refused: float = 0,
    failed: float = 0,
    engine: Requests | None = None,
    gateway: Requests | None = None,
    first_token: Distribution = FAST,
    inter_token: Distribution = FAST,
) -> Measured:
    counts = Requests() if total is None else Requests(total=total, refused=refused, failed=failed)
    return Measured(
        engine=engine or counts,
        gateway=gateway or Requests(total=counts.total, failed=counts.failed),
        times={"first token": first_token, "inter-token": inter_token},
    )


def verdict(canary: Measured, stable: Measured | None = None, health: Health = READY) -> Verdict:
    return judge(LIMITS, canary=canary, stable=stable or measured(), health=health, replicas=2, traffic=True)


def opinions(found: Verdict) -> dict[str, Opinion]:
    return {check.name: check.opinion for check in found.checks if check.opinion != "good"}


def test_as_good_as_the_stable_release_is_good() -> None:
    assert verdict(measured(100)).opinion == "good"
    assert verdict(measured(100)).reasons == []


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        (measured(100, failed=50), {"engine 5xx": "bad", "gateway 5xx": "bad"}),
        # Enough to be sure long before there are enough requests to call anything good.
        (
            measured(10, failed=10),
            {
                "requests": "open",
                "engine 5xx": "bad",
                "engine 4xx": "open",
                "gateway 5xx": "bad",
                "first token p95": "open",
                "inter-token p95": "open",
            },
        ),
        # One of sixty is above one percent, and proves nothing.
        (measured(60, failed=1), {"engine 5xx": "open", "gateway 5xx": "open"}),
        (measured(1000, failed=10), {}),
        # Another name, another template: the release answers nobody, and never with a 5xx.
        (measured(100, refused=100), {"engine 4xx": "bad"}),
        # No pod logs what never reached one.
        (
            measured(None, gateway=Requests(total=40, failed=40)),
            {
                "requests": "open",
                "engine 5xx": "open",
                "engine 4xx": "open",
                "gateway 5xx": "bad",
                "first token p95": "open",
                "inter-token p95": "open",
            },
        ),
        (
            measured(100, first_token=took(upto_1000=1000)),
            {"first token p95": "bad"},
        ),
        (
            measured(100, inter_token=took(more=1000)),
            {"inter-token p95": "bad"},
        ),
        # The slowest 7 of 100 took long, where 5 may.
        (
            measured(100, first_token=took(upto_100=93, upto_1000=7)),
            {"first token p95": "open"},
        ),
    ],
)
def test_what_is_worse_is_bad_unless_chance_explains_it(
    canary: Measured, expected: dict[str, Opinion]
) -> None:
    found = verdict(canary)
    assert opinions(found) == expected
    assert found.opinion == ("bad" if "bad" in expected.values() else "open" if expected else "good")


@pytest.mark.parametrize(
    "canary",
    [
        measured(None),
        measured(0),
        measured(49),
        measured(100, first_token=Distribution()),
        measured(100, inter_token=took()),
        measured(100, gateway=Requests()),
        measured(100, engine=Requests(total=100)),
    ],
)
def test_what_is_not_known_is_neither_good_nor_bad(canary: Measured) -> None:
    assert verdict(canary).opinion == "open"


@pytest.mark.parametrize("stable", [measured(None), measured(0), Measured()])
def test_nothing_to_compare_with_is_not_good(stable: Measured) -> None:
    assert verdict(measured(100), stable).opinion == "open"


def test_what_both_releases_suffer_is_not_the_canary_s_doing() -> None:
    """The store behind both is down: not bad, and not good either."""
    found = verdict(measured(100, failed=50), measured(1000, failed=500))
    assert opinions(found) == {"engine 5xx": "open", "gateway 5xx": "open"}


def test_what_callers_do_wrong_with_both_is_good() -> None:
    assert verdict(measured(100, refused=20), measured(1000, refused=200)).opinion == "good"


def test_a_bound_in_seconds_holds_whatever_the_stable_release_does() -> None:
    slow = measured(100, first_token=took(upto_1000=1000))
    limits = Judge(max_ttft_p95_seconds=0.5)
    found = judge(limits, canary=slow, stable=slow, health=READY, replicas=2, traffic=True)
    assert opinions(found) == {"first token p95": "bad"}
    assert verdict(slow, slow).opinion == "good"


def test_tokens_of_one_request_count_once() -> None:
    """Ten thousand tokens of twenty requests prove what twenty requests prove."""
    slow = took(upto_100=9_000, upto_1000=1_000)
    assert verdict(measured(60, inter_token=slow)).opinion == "open"


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (READY, "good"),
        (Health(state="ready", replicas=2, restarts=1), "bad"),
        # The replicas of the next step come before its traffic.
        (Health(state="ready", replicas=1), "open"),
        (Health(state="not ready yet", why="Ready: being replaced"), "open"),
        (Health(state="not ready", why="Ready: no node"), "bad"),
    ],
)
def test_pods_that_restart_or_stay_away_are_bad(health: Health, expected: Opinion) -> None:
    assert verdict(measured(100), health=health).opinion == expected
    # Without a share of the traffic nothing else can be said.
    alone = judge(LIMITS, canary=Measured(), stable=Measured(), health=health, replicas=2, traffic=False)
    assert alone.opinion == expected


def test_a_canary_without_a_pod_is_bad_at_once_where_it_has_traffic() -> None:
    gone = Health(state="ready", replicas=0)
    assert verdict(measured(100), health=gone).opinion == "bad"
    warm = judge(LIMITS, canary=Measured(), stable=Measured(), health=gone, replicas=1, traffic=False)
    assert warm.opinion == "open"


def test_reasons_say_the_numbers_of_both_sides_and_the_limit() -> None:
    (reason, _) = verdict(measured(100, failed=50)).reasons
    assert reason == (
        "engine 5xx: above the limit, and not by chance (p < 0.00001) "
        "(stable 0.00% of 1000, canary 50.00% of 100, limit 1.00%)"
    )


class TestQuantiles:
    def test_they_are_read_off_as_prometheus_does(self) -> None:
        # Half way through the bucket of 100 to 250 ms.
        assert took(upto_100=90, upto_250=10).quantile(0.95) == pytest.approx(0.175)
        assert took(upto_100=10).quantile(0.5) == pytest.approx(0.05)

    def test_beyond_the_last_bound_is_the_last_bound(self) -> None:
        assert took(more=10).quantile(0.95) == 2.5
        assert took(more=10).share_beyond(3.0) == 0.0

    def test_nothing_has_none(self) -> None:
        assert took().quantile(0.95) is None
        assert Distribution().quantile(0.95) is None

    @given(st.lists(st.integers(0, 1000), min_size=6, max_size=6).filter(any))
    def test_the_share_beyond_a_quantile_is_what_is_left(self, counts: list[int]) -> None:
        names = ("upto_100", "upto_250", "upto_500", "upto_1000", "upto_2500", "more")
        found = took(**dict(zip(names, counts, strict=True)))
        value = found.quantile(0.95)
        assert value is not None
        if value < 2.5:
            assert found.share_beyond(value) == pytest.approx(0.05)


class TestChance:
    @given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 12), st.integers(1, 12))
    def test_fisher_s_test_is_the_count_of_all_ways(self, a: int, n: int, b: int, m: int) -> None:
        a, b = min(a, n), min(b, m)
        ways = sum(comb(n, k) * comb(m, a + b - k) for k in range(a, min(n, a + b) + 1))
        assert more_often(a, n, b, m) == pytest.approx(float(Fraction(ways, comb(n + m, a + b))))

    @given(st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.05, 0.3, 0.9]))
    def test_the_binomial_test_is_the_sum_of_its_terms(self, k: int, n: int, rate: float) -> None:
        k = min(k, n)
        exact = sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k, n + 1))
        assert at_least(k, n, rate) == pytest.approx(exact)

    def test_large_counts_neither_overflow_nor_vanish(self) -> None:
        assert more_often(500, 1_000_000, 500, 1_000_000) == pytest.approx(0.5, abs=0.02)
        assert more_often(1_000, 1_000_000, 500_000, 1_000_000) == pytest.approx(1.0)
        assert more_often(900_000, 1_000_000, 0, 1_000_000) == 0.0
        assert at_least(50_000, 1_000_000, 0.05) == pytest.approx(0.5, abs=0.02)
