"""What the gateway writes of each request: one JSON line on its standard output, who called which model, with what result.

Never a body, a query or a token: the path stands without what comes after `?`, and no header but those that the gateway itself sets.
Names are those of the engines' log, so that one question finds a request in both.
"""

from collections.abc import Mapping
from typing import Any, Final

from components.api_paths import HEALTH_PATH, MODEL_HEADER
from components.gateway_limits import CONSUMER_HEADER

FIELDS: Final[Mapping[str, str]] = {
    "timestamp": "%START_TIME%",
    "service": "gateway",
    "request_id": "%REQ(X-REQUEST-ID)%",
    # Empty where no trace is written.
    "trace_id": "%TRACE_ID%",
    "user_id": f"%REQ({CONSUMER_HEADER.upper()})%",
    "model": f"%REQ({MODEL_HEADER.upper()})%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "route": "%ROUTE_NAME%",
    "status_code": "%RESPONSE_CODE%",
    "reason": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "total_time_ms": "%DURATION%",
    "first_byte_ms": "%RESPONSE_DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "upstream": "%UPSTREAM_HOST%",
}
"""By name, what Envoy fills in. `model` is empty where a request got to none; `reason` is Envoy's word for how it ended."""


def access_log() -> dict[str, Any]:
    """Return `telemetry.accessLog` of a proxy."""
    sink = {"type": "File", "file": {"path": "/dev/stdout"}}
    # A load balancer asks every few seconds whether a proxy is there.
    matches = [f"!has(request.path) || request.path != '{HEALTH_PATH}'"]
    written = {"type": "JSON", "json": {**FIELDS}}
    return {"settings": [{"type": "Route", "matches": matches, "format": written, "sinks": [sink]}]}
