"""Real traffic through a real Envoy, as the real Envoy Gateway configured it, to two versions of a model."""

import math
import time
from typing import Final

import pytest

from tests.gateway.dataplane import DataPlane
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.load import Request, load
from tests.gateway.models import MODEL, VERSION_LABEL, add_version, service, wait_for

pytestmark = pytest.mark.gateway

STABLE: Final = "v1.0"
CANARY: Final = "v2"
REQUESTS: Final = 400
# Of a binomial distribution, in standard deviations: a right split is outside once in two million runs.
DEVIATIONS: Final = 5
WIDE: Final = "v3"
STREAMS: Final = 2000
STREAM_TOKENS: Final = 300
STREAM_SECONDS: Final = 60.0


@pytest.fixture(scope="module", autouse=True)
def canary(plane: DataPlane) -> None:
    add_version(plane, CANARY)
    wait_for(plane, CANARY, 1)


def _weigh(plane: DataPlane, canary: int) -> None:
    plane.route("models", {service(): 100 - canary, service(CANARY): canary})


@pytest.mark.parametrize("percent", [5, 25, 50, 100])
def test_traffic_is_split_by_weight(plane: DataPlane, percent: int) -> None:
    _weigh(plane, percent)
    with load(plane.route_urls, Request(model=MODEL, stream=False, tokens=1), clients=8) as running:
        running.wait_for(REQUESTS)
    assert running.failures == []
    seen = running.versions()
    total, share = seen.total(), percent / 100
    assert abs(seen[CANARY] - total * share) <= DEVIATIONS * math.sqrt(total * share * (1 - share)), seen


def test_weights_change_under_load_without_a_failed_request(plane: DataPlane) -> None:
    _weigh(plane, 0)
    with load(plane.route_urls, Request(model=MODEL, tokens=50), clients=4) as running:
        for percent in (5, 25, 50, 100, 0):
            running.wait_for(20)
            _weigh(plane, percent)
        changed = time.monotonic()
        running.wait_for(20)
    assert running.failures == []
    assert running.versions().keys() == {STABLE, CANARY}
    assert running.versions(changed).keys() == {STABLE}


def test_a_stream_of_a_minute_is_not_cut_by_a_change_of_weights(plane: DataPlane) -> None:
    slow = Behaviour(between_tokens_seconds=STREAM_SECONDS / STREAM_TOKENS)
    plane.behave(slow, {VERSION_LABEL: CANARY})
    _weigh(plane, 100)
    with load(
        plane.route_urls, Request(model=MODEL, tokens=STREAM_TOKENS), clients=2, requests=2, seconds=300
    ) as running:
        # They are at the canary, and from here on nobody else is sent there.
        plane.until("the streams have begun", lambda: plane.streams({VERSION_LABEL: CANARY}) == 2)
        for percent in (50, 0):
            _weigh(plane, percent)
        running.wait_for(2, seconds=300)
    plane.behave(Behaviour(), {VERSION_LABEL: CANARY})
    assert running.failures == []
    assert running.versions() == {CANARY: 2}
    assert min(outcome.ended - outcome.began for outcome in running.outcomes) >= STREAM_SECONDS * 0.9


def test_two_thousand_streams_at_once_are_held_to_their_end(plane: DataPlane) -> None:
    add_version(plane, WIDE, max_num_seqs=STREAMS)
    wait_for(plane, WIDE, 1)
    labels = {VERSION_LABEL: WIDE}
    # Slow enough for all of them to be there before the first one ends.
    plane.behave(Behaviour(first_token_seconds=5, between_tokens_seconds=15), labels)
    plane.route("models", {service(WIDE): 1})
    with load(
        plane.route_urls, Request(model=MODEL, tokens=4), clients=STREAMS, requests=STREAMS, seconds=300
    ) as running:
        plane.until("all are at the engine", lambda: plane.streams(labels) == STREAMS)
        running.wait_for(STREAMS, seconds=300)
    assert running.failures == []
    assert running.versions() == {WIDE: STREAMS}
