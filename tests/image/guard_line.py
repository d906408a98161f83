"""The line between a server and the model that guards it: it passes questions on, or fails in the ways that networks and servers have."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

ELSEWHERE: Final = "/elsewhere"
# On, and no time to wait: the connection ends with a reset.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class GuardLine:
    """A server on loopback in the guard's place.

    asked, answered: the questions that came, and the guard's answers to those that were passed on. paths: of all requests.
    """

    def __init__(self, guard_url: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._guard_url = guard_url
        self._answer: Callable[[BaseHTTPRequestHandler, bytes], None] = self._pass_on
        self._released = threading.Event()
        self._server = self._listen(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def failing(self, how: str) -> Generator[None]:
        """Fail in one of FAULTS until the block ends."""
        if how == "absent":
            self.close()
            try:
                yield
            finally:
                self._server = self._listen(self._server.server_port)
            return
        self._released.clear()
        self._answer = getattr(self, f"_{how}")
        try:
            yield
        finally:
            self._released.set()
            self._answer = self._pass_on

    def close(self) -> None:
        """Stop to listen."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _listen(self, port: int) -> ThreadingHTTPServer:
        line = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                line.paths.append(self.path)
                line.asked.append(json.loads(body))
                line._answer(self, body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Nothing is written."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        answer = httpx.post(
            f"{self._guard_url}{request.path}",
            content=body,
            headers={"content-type": request.headers["content-type"]},
            trust_env=False,
            timeout=60,
        )
        self.answered.append(answer.json())
        _send(request, answer.status_code, answer.content)

    def _slow(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        self._released.wait()
        with contextlib.suppress(OSError):
            self._pass_on(request, body)

    def _error(self, request: BaseHTTPRequestHandler, _body: bytes) -> None:
        _send(request, 500, b'{"error": {"message": "no luck"}}')

    def _reset(self, request: BaseHTTPRequestHandler, _body: bytes) -> None:
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.connection.close()
        request.close_connection = True

    def _cut(self, request: BaseHTTPRequestHandler, _body: bytes) -> None:
        request.wfile.write(
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"choices"'
        )
        request.close_connection = True

    def _page(self, request: BaseHTTPRequestHandler, _body: bytes) -> None:
        _send(request, 200, b"<html>Safety: Safe</html>", kind="text/html")

    def _redirect(self, request: BaseHTTPRequestHandler, _body: bytes) -> None:
        _send(request, 307, b"{}", location=f"{self.url}{ELSEWHERE}")


FAULTS: Final = ("slow", "absent", "error", "reset", "cut", "page", "redirect")


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    *,
    kind: str = "application/json",
    location: str = "",
) -> None:
    request.send_response(status)
    request.send_header("content-type", kind)
    request.send_header("content-length", str(len(body)))
    if location:
        request.send_header("location", location)
    request.end_headers()
    request.wfile.write(body)
