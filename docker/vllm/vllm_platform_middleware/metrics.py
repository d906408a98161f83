"""Counters beside vLLM's own, and all of them on a port that the gateway is not let to."""

import importlib
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, start_http_server

from vllm_platform_middleware.configuration import Configuration
from vllm_platform_middleware.record import OTHER, RequestRecord

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
GUARD_ANSWERS: Final = Counter(
    "vllm_platform_guard_answers",
    "What the model that guards said: safe, controversial, unsafe, or unjudged.",
    ("answer",),
)
CONSUMER_REQUESTS: Final = Counter(
    "vllm_platform_consumer_requests",
    "Requests that ended, by whom the gateway named and what was answered.",
    ("consumer", "status_code"),
)
CONSUMER_TOKENS: Final = Counter(
    "vllm_platform_consumer_tokens",
    "Tokens read and written, by whom the gateway named.",
    ("consumer", "kind"),
)
CONSUMERS: Final = 200
"""Consumers with a name of their own, the first that come. Each is some series; of more than these Prometheus would have to hold many."""
NOBODY: Final = "nobody"
named: Final = set[str]()


def count(record: RequestRecord, model_version: str) -> None:
    """Count one request. Every label is a word of a fixed list, of the configuration, or one of so many consumers.

    Its trace is the counter's exemplar: from a number on a dashboard to one request that it counts.
    """
    REQUESTS.labels(
        record.model, model_version, record.endpoint, str(record.status_code), str(record.stream).lower()
    ).inc(exemplar=None if record.trace_id is None else {"trace_id": record.trace_id})
    if record.client_disconnected:
        DISCONNECTS.labels(record.model, model_version).inc()
    if record.refused_by is not None:
        REFUSALS.labels(record.model, record.refused_by).inc()
    consumer = _consumer(record.user_id)
    CONSUMER_REQUESTS.labels(consumer, str(record.status_code)).inc()
    CONSUMER_TOKENS.labels(consumer, "prompt").inc(record.prompt_tokens or 0)
    CONSUMER_TOKENS.labels(consumer, "completion").inc(record.completion_tokens or 0)


def _consumer(user: str | None) -> str:
    """Return the consumer's name while there are not too many of them, else `other`."""
    if user is None:
        return NOBODY
    if user not in named and len(named) >= CONSUMERS:
        return OTHER
    named.add(user)
    return user


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
