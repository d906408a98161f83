"""Takes logs as Loki does (OTLP over HTTP) and remembers them. It can be away, so that nothing listens on its port."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from rehearsal.cluster.launcher import free_ports
from rehearsal.collector.loopback import LOOPBACK

PATH: Final = "/otlp/v1/logs"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One record. `pod`: attributes of its resource."""

    body: str
    attributes: dict[str, Any]
    pod: dict[str, Any]
    raw: bytes


class Sink:
    """Listens in a `with`, unless `close` was called; `open` listens again on the same port."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its address, as the collector is told Loki's."""
        return f"http://{LOOPBACK}:{self.port}"

    def open(self) -> None:
        """Listen."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                known = self.path == PATH
                if known:
                    sink.take(body)
                answer = ExportLogsServiceResponse().SerializeToString()
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server((LOOPBACK, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Be away: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, body: bytes) -> None:
        """Remember what a request brings."""
        lines = list(_read(body))
        with self._lock:
            self._lines += lines

    def forget(self) -> None:
        """Remember nothing of what came."""
        with self._lock:
            self._lines.clear()

    def lines(self) -> list[Line]:
        """Return what came, in the order in which it came."""
        with self._lock:
            return list(self._lines)

    def count(self) -> int:
        """Return how many lines came, those that came twice counted twice."""
        with self._lock:
            return len(self._lines)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(body: bytes) -> Iterator[Line]:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        pod = _values(resource.resource.attributes)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Line(
                    body=str(_value(record.body)),
                    attributes=_values(record.attributes),
                    pod=pod,
                    raw=record.SerializeToString(),
                )


def _values(pairs: Any) -> dict[str, Any]:  # noqa: ANN401 - a repeated field has no type of its own
    found: list[KeyValue] = list(pairs)
    return {pair.key: _value(pair.value) for pair in found}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - one of several types
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in {"array_value", "kvlist_value", "bytes_value"}:
        return str(getattr(value, kind))
    return getattr(value, kind)
