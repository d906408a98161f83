"""What is asked of Prometheus, as PromQL that can be pasted into its own page. Pure.

The engine's own numbers are told apart by the pods that they come from: KServe names a pod after its InferenceService.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ops.rollout.judge import Time

REQUESTS: Final = "vllm_platform_requests_total"
"""Of the image's middleware: one a request, by the status that was answered."""
GATEWAY_SUCCESS: Final = "envoy_cluster_endpoint_rq_success"
GATEWAY_ERROR: Final = "envoy_cluster_endpoint_rq_error"
"""Of Envoy, by the pod that a request was for: 5xx, and connections that failed or broke, which `rq_total` leaves out.

Of a cluster of Envoy's there is one number for both versions: Envoy Gateway makes one for each rule of a route, with the
versions as weighted localities in it (1.9.1, internal/ir/xds.go, NeedsClusterPerSetting).
"""
TIMES: Final[Mapping[Time, str]] = {
    # Of an embedding, which has no tokens to answer with, it is the time to the whole answer (vLLM 0.32.0).
    "first token": "vllm:time_to_first_token_seconds",
    "inter-token": "vllm:inter_token_latency_seconds",
}

Outcome = Literal["any", "refused", "failed"]
"""Of a request: whatever it was, a status of 400 to 499 that the model gave, a status of 500 or more."""

_ENGINE_STATUS: Final[dict[Outcome, str]] = {
    "any": "",
    # 429: a limit. 499: the client left.
    "refused": ',status_code=~"4..",status_code!~"429|499"',
    "failed": ',status_code=~"5.."',
}


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of time, in seconds: how long it is, and how long ago it ended."""

    seconds: int
    ago: int = 0

    def __str__(self) -> str:
        """As PromQL writes it behind a metric."""
        return f"[{self.seconds}s]" + (f" offset {self.ago}s" if self.ago else "")


def pods_of(service: str, namespace: str) -> str:
    """Labels of the metrics of one InferenceService's pods: of its Deployment, and of no other with a longer name."""
    return f'namespace="{namespace}",pod=~"{service}-predictor-[a-z0-9]+-[a-z0-9]+"'


def endpoints_of(route: str, namespace: str, addresses: Iterable[str]) -> str:
    """Labels of the gateway's metrics of some pods, by their addresses, behind one route."""
    pods = "|".join(sorted(re.escape(address) for address in addresses))
    rule = f"httproute/{namespace}/{route}/rule/.+"
    return f'envoy_cluster_name=~"{rule}",envoy_endpoint_address=~{json.dumps(f"({pods}):.+")}'


def engine_requests(labels: str, window: Window, outcome: Outcome) -> str:
    """Requests that the engine's pods ended."""
    return f"sum(increase({REQUESTS}{{{labels}{_ENGINE_STATUS[outcome]}}}{window}))"


def gateway_requests(labels: str, window: Window) -> str:
    """Requests that the gateway had for pods."""
    success = f"sum(increase({GATEWAY_SUCCESS}{{{labels}}}{window}))"
    return f"{success} + {gateway_errors(labels, window)}"


def gateway_errors(labels: str, window: Window) -> str:
    """Those of them that failed, at whatever place."""
    return f"sum(increase({GATEWAY_ERROR}{{{labels}}}{window}))"


def distribution(time: Time, labels: str, window: Window) -> str:
    """A histogram of the engine's over all its pods, by upper bounds: counts of what is no longer than `le`."""
    return f"sum by (le) (increase({TIMES[time]}_bucket{{{labels}}}{window}))"
