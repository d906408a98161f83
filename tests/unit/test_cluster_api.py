"""The client of the Kubernetes API, against answers that are made up."""

from collections.abc import Callable
from typing import Final

import httpx
import pytest

from rehearsal.cluster.api import BUSY_ATTEMPTS, LATE_ATTEMPTS, Api, ApiError, UnansweredError

BUSY: Final = httpx.Response(
    429, headers={"Retry-After": "0"}, json={"message": "storage is (re)initializing"}
)


def _api(server: Callable[[httpx.Request], httpx.Response]) -> Api:
    """Return a client whose requests a function answers."""
    api = object.__new__(Api)
    transport = httpx.MockTransport(server)
    vars(api)["_http"] = httpx.Client(base_url="https://example.invalid", transport=transport)
    return api


def _answering(*answers: httpx.Response) -> Api:
    """Return a client whose server gives one answer after the other."""
    following = iter(answers)
    return _api(lambda _: next(following))


def test_a_server_that_asks_for_patience_is_asked_again() -> None:
    with _answering(BUSY, BUSY, httpx.Response(200, json={"items": [{"kind": "Pod"}]})) as api:
        assert api.list("v1", "Pod") == [{"kind": "Pod"}]


def test_but_not_for_ever() -> None:
    with (
        _answering(*[BUSY] * (BUSY_ATTEMPTS + 1)) as api,
        pytest.raises(ApiError, match="429: storage is"),
    ):
        api.list("v1", "Pod")


def test_what_is_not_there_is_none_at_once() -> None:
    with _answering(httpx.Response(404, json={"message": "not found"})) as api:
        assert api.get("v1", "Pod", "x", "default") is None


class _Late:
    """A server that lets so many requests wait too long, and then answers."""

    def __init__(self, late: int, error: type[httpx.TransportError] = httpx.ReadTimeout) -> None:
        self.asked = 0
        self._late = late
        self._error = error

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.asked <= self._late:
            raise self._error("", request=request)
        return httpx.Response(200, json={"gitVersion": "v1.0.0"})


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_an_answer_that_is_late_or_lost_is_asked_for_again(error: type[httpx.TransportError]) -> None:
    with _api(_Late(LATE_ATTEMPTS - 1, error)) as api:
        assert api.version() == "v1.0.0"


@pytest.mark.parametrize(
    ("server", "asked"),
    [(_Late(LATE_ATTEMPTS), LATE_ATTEMPTS), (_Late(1, httpx.ConnectError), 1)],
    ids=["always-late", "gone"],
)
def test_no_answer_is_said_in_words(server: _Late, asked: int) -> None:
    with _api(server) as api, pytest.raises(UnansweredError, match=r"no answer to GET /version .*too busy"):
        api.version()
    assert server.asked == asked


def test_a_creation_is_never_sent_twice() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "default"}}
    server = _Late(1)
    with _api(server) as api, pytest.raises(UnansweredError, match="no answer to POST"):
        api.create(pod)
    assert server.asked == 1
