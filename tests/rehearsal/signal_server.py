"""What KEDA's scaler asks a Prometheus, answered over the wire: each signal has the value that a test gives it, or none."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

METRICS: Final = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "kv-cache": "vllm:kv_cache_usage_perc",
    "gateway-demand": "envoy_cluster_upstream_rq_total",
}


class SignalServer:
    """Answers on loopback while it is a context. values: of all replicas together, by signal; None is an empty answer.

    queries: what was asked, so that a test can hold it against what was meant.
    """

    def __init__(self) -> None:
        self.values: dict[str, float | None] = dict.fromkeys(METRICS, 0)
        self.queries: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(outer.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - as the base class has it
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> dict[str, object]:
        """One number, without labels, or nothing: as Prometheus answers a sum."""
        address = urlsplit(path)
        assert address.path == "/api/v1/query"
        (query,) = parse_qs(address.query)["query"]
        self.queries.add(query)
        value = self.values[self._signal(query)]
        result: list[object] = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    def _signal(self, query: str) -> str:
        (found,) = [name for name, metric in METRICS.items() if re.search(rf"{metric}\b", query)]
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
