"""The client of Prometheus over the wire: it asks what it should, goes past proxies, and always comes back."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.rollout import prometheus
from ops.rollout.prometheus import Prometheus, PrometheusError, at_address
from tests import loopback

pytestmark = pytest.mark.rehearsal


@contextmanager
def server(handle: Callable[[BaseHTTPRequestHandler], None]) -> Generator[str]:
    class Handler(loopback.Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name is the library's
            handle(self)

    with loopback.serving(Handler) as url:
        yield url


def test_over_the_wire_with_its_query_and_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")

    def handle(request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        labels = {"path": url.path, "query": parse_qs(url.query)["query"][0]}
        data = {"resultType": "vector", "result": [{"metric": labels, "value": [1.5, "1"]}]}
        request.send_response(200)
        request.end_headers()
        request.wfile.write(json.dumps({"status": "success", "data": data}).encode())

    with server(handle) as url:
        (sample,) = Prometheus(at_address(url + "/")).ask('sum(x{y="z"})')
    assert sample.labels == {"path": "/api/v1/query", "query": 'sum(x{y="z"})'}


def test_a_server_that_is_silent_or_slow_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, and never an end: only a limit on the whole ends that."""
    monkeypatch.setattr(prometheus, "QUESTION_SECONDS", 0.5)
    over = Event()

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not over.wait(0.1):
            try:
                request.wfile.write(b" ")
            except OSError:
                return

    with server(handle) as url:
        with pytest.raises(PrometheusError, match=r"no complete answer within|does not answer"):
            Prometheus(at_address(url)).ask("x")
        over.set()


def test_nobody_there_is_told() -> None:
    with pytest.raises(PrometheusError, match="does not answer"):
        Prometheus(at_address("http://127.0.0.1:9")).ask("x")
