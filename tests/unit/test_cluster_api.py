"""The client of the Kubernetes API, against answers that are made up."""

from collections.abc import Callable, Iterator
from typing import Final

import httpx
import pytest

from rehearsal.cluster.api import BUSY_ATTEMPTS, Api, ApiError

BUSY: Final = httpx.Response(
    429, headers={"Retry-After": "0"}, json={"message": "storage is (re)initializing"}
)


@pytest.fixture
def api_answering() -> Callable[[Iterator[httpx.Response]], Api]:
    """Make a client whose server gives one answer after the other."""

    def make(answers: Iterator[httpx.Response]) -> Api:
        transport = httpx.MockTransport(lambda _: next(answers))
        api = object.__new__(Api)
        vars(api)["_http"] = httpx.Client(base_url="https://example.invalid", transport=transport)
        return api

    return make


def test_a_server_that_asks_for_patience_is_asked_again(
    api_answering: Callable[[Iterator[httpx.Response]], Api],
) -> None:
    with api_answering(iter([BUSY, BUSY, httpx.Response(200, json={"items": [{"kind": "Pod"}]})])) as api:
        assert api.list("v1", "Pod") == [{"kind": "Pod"}]


def test_but_not_for_ever(api_answering: Callable[[Iterator[httpx.Response]], Api]) -> None:
    with (
        api_answering(iter([BUSY] * (BUSY_ATTEMPTS + 1))) as api,
        pytest.raises(ApiError, match="429: storage is"),
    ):
        api.list("v1", "Pod")


def test_what_is_not_there_is_none_at_once(api_answering: Callable[[Iterator[httpx.Response]], Api]) -> None:
    with api_answering(iter([httpx.Response(404, json={"message": "not found"})])) as api:
        assert api.get("v1", "Pod", "x", "default") is None
