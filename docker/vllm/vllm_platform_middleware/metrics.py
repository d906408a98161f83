"""Counters beside vLLM's own, and all of them on a port that the gateway is not let to."""

import importlib
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, start_http_server

from vllm_platform_middleware.configuration import Configuration
from vllm_platform_middleware.record import RequestRecord

REQUESTS: Final = Counter(
    "vllm_platform_requests",
    "Requests that ended, by what was answered.",
    ("model_name", "model_version", "endpoint", "status_code", "stream"),
)
DISCONNECTS: Final = Counter(
    "vllm_platform_client_disconnects",
    "Requests whose client left before the answer's end.",
    ("model_name", "model_version"),
)
REFUSALS: Final = Counter(
    "vllm_platform_filter_refusals", "Requests that the content filter refused.", ("model_name", "rule")
)


def count(record: RequestRecord, model_version: str) -> None:
    """Count one request. Every label is a word of a fixed list, or of the configuration."""
    REQUESTS.labels(
        record.model, model_version, record.endpoint, str(record.status_code), str(record.stream).lower()
    ).inc()
    if record.client_disconnected:
        DISCONNECTS.labels(record.model, model_version).inc()
    if record.refused_by is not None:
        REFUSALS.labels(record.model, record.refused_by).inc()


def serve(configuration: Configuration) -> None:
    """Serve /metrics from a thread of its own, which ends with the process. Raises OSError where the port is taken."""
    if configuration.metrics_port:
        start_http_server(configuration.metrics_port, configuration.metrics_host, registry=_registry())


def _registry() -> CollectorRegistry:
    """Return what vLLM shows on its own port: with several API servers that is more than this process knows."""
    try:
        vllm: Any = importlib.import_module("vllm.v1.metrics.prometheus")
    except ImportError:
        return REGISTRY
    return vllm.get_prometheus_registry()
