"""The clients notice what went wrong with a request: else a test in which nothing fails would say nothing."""

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.load import Outcome, Request, ask, load
from tests.gateway.network import prepare_node

pytestmark = pytest.mark.gateway

EVENT = b'data: {"system_fingerprint": "v1/10.0.0.1"}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WHOLE = HEAD + 2 * EVENT + b"data: [DONE]\n\n"
REQUEST = Request(model="m", tokens=2)


class Server:
    """Answers every request with the same bytes, and closes the connection."""

    def __init__(self) -> None:
        self.answer = WHOLE
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._listening.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        # All of it: a connection that is closed on unread bytes is reset, and takes what was answered with it.
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]))
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


@pytest.fixture(scope="module", autouse=True)
def node() -> None:
    prepare_node()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def _one(url: str) -> Outcome:
    async def run() -> Outcome:
        async with httpx.AsyncClient(trust_env=False) as http:
            return await ask(http, url, REQUEST)

    return asyncio.run(run())


def test_an_answer_that_is_whole_is_no_failure(server: Server) -> None:
    outcome = _one(server.url)
    assert (outcome.reason, outcome.status, outcome.version, outcome.pod) == ("", 200, "v1", "10.0.0.1")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HEAD + EVENT, "the stream ended after 1 of 2 tokens"),
        (HEAD + 2 * EVENT, "the stream ended after 2 of 2 tokens"),
        (HEAD + EVENT + b"data: [DONE]\n\n", "the stream ended after 1 of 2 tokens"),
        (b"", "RemoteProtocolError"),
        (b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nConnection: close\r\n\r\nfull", "status 503: full"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(server: Server, answer: bytes, reason: str) -> None:
    server.answer = answer
    outcome = _one(server.url)
    assert outcome.reason.startswith(reason)
    assert outcome.retry_after == ("7" if b"Retry-After" in answer else None)


def test_who_is_not_there_is_a_failure(server: Server) -> None:
    server.stop()
    assert _one(server.url).reason.startswith("ConnectError")


def test_a_load_makes_no_more_requests_than_it_may(server: Server) -> None:
    with load(lambda: [server.url], REQUEST, clients=3, requests=10) as running:
        running.wait_for(10)
    assert len(running.outcomes) == 10
    assert running.failures == []


@pytest.mark.parametrize("address", ["192.168.0.1", "8.8.8.8"])
def test_a_load_goes_to_no_other_machine(address: str) -> None:
    with pytest.raises(ValueError, match="addresses of this cluster only"):
        _one(f"http://{address}:80")
