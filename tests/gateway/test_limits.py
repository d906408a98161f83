"""How much each consumer may ask: a real rate limiter and a real Redis behind two replicas of a real Envoy, over the wire.

Each test has consumers of its own: what one has used up stays so until the minute ends.
"""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from components.addons.envoy_gateway import OWN_API, PROXY, proxy_spec
from components.addons.rate_limiter import LIMITER_LABELS, STORE, store_spec
from components.api_gateway import GATEWAY
from components.model_names import MODEL_LABEL
from rehearsal.definitions import define
from settings.limits import REQUESTS_PER_MINUTE, STORE_IMAGE
from tests.gateway.calls import refused
from tests.gateway.dataplane import CONTROLLERS, MODELS, DataPlane
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.load import Outcome, ask
from tests.gateway.load import Request as AskedFor
from tests.gateway.models import MODEL, sections, wait_for
from tests.gateway.pod import Pod
from tests.gateway.proxies import counters
from tests.gateway.tokens import AUDIENCE, ISSUER, Issuer
from tests.rehearsal.conftest import tools

pytestmark = pytest.mark.gateway

KEY: Final = Issuer("key")
BATCH: Final = 7
OWN: Final = 3
PATH: Final = f"/{MODEL}/v1/models"
MINUTE: Final = 60
# The rate limiter's minute is the clock's, and a burst must be in one.
ROOM_SECONDS: Final = 25
STREAM_SECONDS: Final = int(os.environ.get("VP_STREAM_SECONDS", "300"))
"""In the background of the module, which takes most of that anyway."""
CONTROLLER: Final = {"control-plane": "envoy-gateway"}
REDIS: Final = {"app.kubernetes.io/name": STORE}
IN_PLAN: Final = ("in.a+plan", "batch-1", "batch-2", "batch-3")
WITH_NUMBER: Final = ("own|1", "own-2", "own-3")


def _consumer(name: str, **more: object) -> dict[str, Any]:
    return {"name": name, "models": [MODEL], **more}


def _sections(when_down: str) -> dict[str, Any]:
    return {
        **sections(),
        "gateway": {
            "authentication": {
                "kind": "jwt",
                "issuer": ISSUER,
                "audiences": [AUDIENCE],
                "keys": {"kind": "local", "keys": [KEY.public()]},
            },
            "consumers": [
                *(_consumer(name, plan="batch") for name in IN_PLAN),
                *(_consumer(name, requests_per_minute=OWN) for name in WITH_NUMBER),
                *(_consumer(f"plain-{index}") for index in range(10)),
            ],
            "limits": {
                "kind": "requests",
                "plans": [{"name": "batch", "requests_per_minute": BATCH}],
                "when_down": when_down,
            },
        },
    }


@pytest.fixture(scope="module")
def limited(empty_plane: DataPlane) -> DataPlane:
    """Two replicas of a gateway as the program makes it, with limits, in front of a model."""
    define(empty_plane.api, tools(), ["prometheus-definitions"])
    empty_plane.stack("gateway", _sections("refuse")).up()
    _two_replicas(empty_plane)
    empty_plane.programmed()
    wait_for(empty_plane, "", 1)
    empty_plane.until(
        "both count",
        lambda: all(
            "x-ratelimit-limit" in _call(url, "plain-9").headers for url in empty_plane.gateway_urls()
        ),
    )
    return empty_plane


def _two_replicas(plane: DataPlane) -> None:
    """Describe the proxies as in staging and prod, and wait until there are no others."""
    meta = {"name": PROXY, "namespace": CONTROLLERS}
    plane.api.apply(
        {"apiVersion": OWN_API, "kind": "EnvoyProxy", "metadata": meta, "spec": proxy_spec(replicas=2)}
    )

    def there() -> bool:
        found = plane.api.get("apps/v1", "Deployment", GATEWAY, MODELS) or {"metadata": {}}
        status = found.get("status", {})
        numbers = {status.get(f"{kind}eplicas", 0) for kind in ("r", "updatedR", "readyR")}
        return (
            numbers == {2}
            and status["observedGeneration"] == found["metadata"]["generation"]
            and len(plane.proxies()) == 2
        )

    plane.until("there are two proxies", there)


def _call(url: str, consumer: str) -> httpx.Response:
    token = KEY.token(sub=consumer)
    try:
        return httpx.get(
            f"{url}{PATH}", headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30
        )
    except httpx.TransportError:
        # A proxy that is only just there.
        return httpx.Response(0)


def _ask(plane: DataPlane, consumer: str) -> httpx.Response:
    """Ask by the model's name in the body."""
    return httpx.post(
        f"{plane.gateway_urls()[0]}/v1/chat/completions",
        json={"model": MODEL, "messages": [], "max_tokens": 1},
        headers={"Authorization": f"Bearer {KEY.token(sub=consumer)}"},
        trust_env=False,
        timeout=30,
    )


def _burst(plane: DataPlane, consumer: str, count: int) -> list[httpx.Response]:
    """Ask so often within one minute of the clock, of both replicas in turn."""
    left = MINUTE - time.time() % MINUTE
    if left < ROOM_SECONDS:
        time.sleep(left + 0.1)
    urls = plane.gateway_urls()
    assert len(urls) == 2
    return [_call(urls[index % 2], consumer) for index in range(count)]


def _statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


class _Stream:
    """One answer that comes slowly, on a way of its own, while the other tests go on."""

    def __init__(self, plane: DataPlane) -> None:
        self._url = f"{plane.gateway_urls()[0]}/{MODEL}"
        self.outcome: Outcome | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), daemon=True)
        self._thread.start()

    async def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {KEY.token(sub='plain-8')}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=MINUTE) as http:
            self.outcome = await ask(http, self._url, AskedFor(model=MODEL, tokens=STREAM_SECONDS))

    def wait(self) -> Outcome:
        self._thread.join(STREAM_SECONDS + MINUTE)
        assert self.outcome is not None, "the stream did not end"
        return self.outcome


@pytest.fixture(scope="module")
def stream(limited: DataPlane) -> _Stream:
    """One token a second."""
    limited.behave(Behaviour(between_tokens_seconds=1), {MODEL_LABEL: MODEL})
    return _Stream(limited)


@pytest.mark.usefixtures("stream")
class TestLimits:
    def test_the_101st_request_of_a_minute_is_refused_over_all_replicas_together(
        self, limited: DataPlane
    ) -> None:
        answers = _burst(limited, "plain-0", REQUESTS_PER_MINUTE + 2)
        assert [answer.status_code for answer in answers] == [200] * REQUESTS_PER_MINUTE + [429] * 2
        for late in answers[REQUESTS_PER_MINUTE:]:
            assert refused(late, 429)["type"] == "rate_limit_error"
            assert late.headers["retry-after"] == late.headers["x-ratelimit-reset"]
            assert 1 <= int(late.headers["retry-after"]) <= MINUTE
        assert not [
            answer for answer in answers if answer.status_code == 200 and "retry-after" in answer.headers
        ]
        # Somebody else has a number of its own, in the same minute.
        assert _statuses(_burst(limited, "plain-1", 10)) == {200: 10}

    @pytest.mark.parametrize(("consumer", "number"), [(IN_PLAN[0], BATCH), (WITH_NUMBER[0], OWN)])
    def test_a_consumer_has_the_number_of_its_plan_or_its_own(
        self, limited: DataPlane, consumer: str, number: int
    ) -> None:
        answers = _burst(limited, consumer, number + 3)
        assert [answer.status_code for answer in answers] == [200] * number + [429] * 3

    def test_consumers_of_one_plan_do_not_share_it(self, limited: DataPlane) -> None:
        for consumer in IN_PLAN[1:3]:
            assert _statuses(_burst(limited, consumer, BATCH)) == {200: BATCH}

    def test_a_consumer_has_one_number_for_all_ways_to_a_model(self, limited: DataPlane) -> None:
        consumer = WITH_NUMBER[2]
        asked = [*_burst(limited, consumer, OWN - 1), *(_ask(limited, consumer) for _ in range(2))]
        assert [answer.status_code for answer in asked] == [200] * OWN + [429]

    @pytest.mark.parametrize(("consumer", "number"), [(IN_PLAN[3], BATCH), ("plain-2", REQUESTS_PER_MINUTE)])
    def test_a_request_counts_against_one_limit_alone(
        self, limited: DataPlane, consumer: str, number: int
    ) -> None:
        """Envoy names every limit that a request met."""
        (answer,) = _burst(limited, consumer, 1)
        assert answer.headers["x-ratelimit-limit"] == f"{number}, {number};w=60"

    def test_nobody_is_counted_who_does_not_get_in(self, limited: DataPlane) -> None:
        url = limited.gateway_urls()[0]
        for answer in (httpx.get(f"{url}{PATH}", trust_env=False, timeout=30), _call(url, "a-stranger")):
            assert answer.status_code in {401, 403}
            assert "x-ratelimit-limit" not in answer.headers


def _one(plane: DataPlane, labels: dict[str, str]) -> Pod:
    (pod,) = plane.pods(labels)
    return pod


def _of_upstreams(plane: DataPlane) -> dict[str, float]:
    """Return what both proxies together count of requests to models, by metric."""
    return {
        name: sum(
            value
            for proxy in plane.proxies()
            for labels, value in counters(proxy, name)
            if labels["envoy_cluster_name"].startswith(f"httproute/{MODELS}/")
        )
        for name in ("envoy_cluster_ratelimit_error", "envoy_cluster_upstream_rq_xx")
    }


def _scale_redis(plane: DataPlane, replicas: int) -> None:
    found = plane.api.get("apps/v1", "Deployment", STORE, CONTROLLERS)
    assert found is not None
    meta = {key: found["metadata"][key] for key in ("name", "namespace", "labels")}
    spec = {**found["spec"], "replicas": replicas}
    plane.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})


class TestNobodyCounts:
    @pytest.fixture(params=["redis", "rate limiter"])
    def frozen(self, request: pytest.FixtureRequest, limited: DataPlane) -> Iterator[Pod]:
        """What counts requests, while it does not answer."""
        pod = _one(limited, dict(REDIS if request.param == "redis" else LIMITER_LABELS))
        pod.freeze()
        yield pod
        pod.thaw()

    def test_requests_are_refused_and_go_on_when_it_answers_again(
        self, limited: DataPlane, frozen: Pod
    ) -> None:
        before = _of_upstreams(limited)
        answers = _burst(limited, "plain-3", 6)
        assert _statuses(answers) == {500: 6}
        assert refused(answers[0], 500)["type"] == "server_error"
        # The alert asks for the first. No objective counts them: the proxies answered.
        after = _of_upstreams(limited)
        assert after["envoy_cluster_ratelimit_error"] - before["envoy_cluster_ratelimit_error"] == 6
        assert after["envoy_cluster_upstream_rq_xx"] == before["envoy_cluster_upstream_rq_xx"]
        frozen.thaw()
        limited.until("requests go through", lambda: _statuses(_burst(limited, "plain-3", 2)) == {200: 2})

    def test_requests_are_refused_while_redis_is_gone_and_go_on_with_a_new_one(
        self, limited: DataPlane
    ) -> None:
        before = _one(limited, REDIS).name
        _scale_redis(limited, 0)
        limited.until("redis is gone", lambda: not limited.pods(REDIS))
        assert _statuses(_burst(limited, "plain-4", 4)) == {500: 4}
        _scale_redis(limited, 1)
        limited.until("requests go through", lambda: _statuses(_burst(limited, "plain-4", 2)) == {200: 2})
        assert _one(limited, REDIS).name != before

    def test_by_a_setting_they_pass_uncounted(self, limited: DataPlane) -> None:
        limited.stack("gateway", _sections("pass")).up()
        # The program says one replica here. And the kubelet of the tests writes a pod's files once: the controller would read the new ones.
        _two_replicas(limited)
        limited.api.delete("v1", "Pod", _one(limited, CONTROLLER).name, CONTROLLERS)
        redis = _one(limited, REDIS)
        redis.freeze()
        consumer = WITH_NUMBER[1]
        limited.until("requests pass", lambda: _statuses(_burst(limited, consumer, 4)) == {200: 4})
        assert _statuses(_burst(limited, consumer, OWN * 4)) == {200: OWN * 4}
        redis.thaw()
        limited.until("they are counted again", lambda: 429 in _statuses(_burst(limited, consumer, OWN + 1)))

    def test_who_was_refused_is_let_in_after_its_minute(self, limited: DataPlane) -> None:
        limited.until("a new minute", lambda: _call(limited.gateway_urls()[0], "plain-0").status_code == 200)


def test_a_stream_of_minutes_is_cut_by_nothing_that_happened_meanwhile(stream: _Stream) -> None:
    """Not by a time-out of Envoy's, and not by the counting that ended, nor by the controller that went."""
    outcome = stream.wait()
    assert (outcome.status, outcome.reason) == (200, "")


def test_the_pod_of_redis_passes_the_level_restricted(limited: DataPlane) -> None:
    """The models' namespace admits nothing less, so the API server itself says so."""
    spec = store_spec(STORE_IMAGE)["template"]["spec"]
    meta = {"name": "strict", "namespace": MODELS}
    limited.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    limited.api.delete("v1", "Pod", "strict", MODELS)
