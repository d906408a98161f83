"""What the gateway's proxies write of a request's way: one span each, sent to the collector, which decides what is kept.

Of every request: whether one was slow or failed is known at its end. A span names the path without its query, like the log.
"""

from typing import Any

from components.addons.otel_pipelines import GRPC_PORT
from components.addons.otel_traces import GATEWAY, PROXIES
from components.node_agents import MONITORING_NAMESPACE


def tracing() -> dict[str, Any]:
    """Return `telemetry.tracing` of a proxy."""
    collector = {"group": "", "kind": "Service", "name": GATEWAY, "namespace": MONITORING_NAMESPACE}
    return {
        "samplingRate": 100,
        "provider": {
            "type": "OpenTelemetry",
            "serviceName": PROXIES,
            "backendRefs": [{**collector, "port": GRPC_PORT}],
        },
    }
