"""Probes and end of life of an engine's container.

The engine's port does not listen before the weights are loaded, so /health is a true start signal; later it
turns to 503 when the engine's process died (vLLM 0.32). The image's middleware turns it to 503 when the pod
is told to end.
"""

from math import ceil
from typing import Any, Final

from components.engine_args import API_PORT
from settings.models import Lifecycle

STARTUP_PERIOD_SECONDS: Final = 10
READINESS_PERIOD_SECONDS: Final = 5
READINESS_FAILURES: Final = 3
LIVENESS_PERIOD_SECONDS: Final = 10
# A minute: /health shares the event loop with tokenisation, and a burst of long prompts must not get the
# pod killed.
LIVENESS_FAILURES: Final = 6
TIMEOUT_SECONDS: Final = 5


def probes(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the container's three probes. The other two begin when the startup probe has passed once."""
    return {
        "startupProbe": _probe(
            STARTUP_PERIOD_SECONDS, ceil(lifecycle.startup_seconds / STARTUP_PERIOD_SECONDS)
        ),
        "readinessProbe": _probe(READINESS_PERIOD_SECONDS, READINESS_FAILURES),
        "livenessProbe": _probe(LIVENESS_PERIOD_SECONDS, LIVENESS_FAILURES),
    }


def before_stop(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the container's lifecycle: wait until every proxy has dropped the pod, then drain.

    During its drain the engine aborts new requests, so without the wait a rolling update loses some.
    `sleep` is done by the kubelet: no shell is needed in the image. The kubelet refuses a sleep of 0
    seconds before Kubernetes 1.33.
    """
    if lifecycle.pre_stop_seconds == 0:
        return {}
    return {"lifecycle": {"preStop": {"sleep": {"seconds": lifecycle.pre_stop_seconds}}}}


def _probe(period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": API_PORT, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": TIMEOUT_SECONDS,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
