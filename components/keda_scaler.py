"""The ScaledObject of a model, field by field, as KEDA 2.20 reads it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from components import signals
from components.model_names import predictor_name
from components.scaling import behavior, scale_target
from settings.keda import KedaScaling, Signal, Window
from settings.models import Model

API_VERSION: Final = "keda.sh/v1alpha1"
KIND: Final = "ScaledObject"
OWN_NAME_LABEL: Final = "scaledobject.keda.sh/name"
"""KEDA writes it where it is not there; from the start, it leaves the object alone."""
PAUSED: Final = "autoscaling.keda.sh/paused"
WAIT_FOR: Final = "jsonpath={.status.hpaName}"
"""KEDA took the object and made its HorizontalPodAutoscaler. Not its condition Ready: that also says whether Prometheus answers."""
TIMEOUT_MS: Final = "10000"
"""Of a question to Prometheus. KEDA's 3 s are few for one that just started."""

_QUERIES: Final[Mapping[Signal, Callable[[str, str], str]]] = {
    "running": signals.running,
    "waiting": signals.waiting,
    "kv-cache": signals.kv_cache,
    "gpu-utilization": signals.gpu_utilization,
    "gateway-demand": signals.gateway_demand,
}
# What has no series while there is no replica. The gateway's are there without one.
_OF_REPLICAS: Final = frozenset(_QUERIES) - {"gateway-demand"}


def annotations(model: Model) -> dict[str, str]:
    """Return the annotations of the ScaledObject. While the model is stopped KEDA lets it rest, and takes its autoscaler away."""
    return {PAUSED: "true"} if model.stopped else {"pulumi.com/waitFor": WAIT_FOR}


def spec(model: Model, scaling: KedaScaling, *, namespace: str, prometheus: str) -> dict[str, Any]:
    """Return the spec of the ScaledObject. prometheus: address that KEDA asks."""
    return {
        "scaleTargetRef": scale_target(model.name),
        "minReplicaCount": scaling.min,
        "maxReplicaCount": scaling.max,
        **_to_zero(scaling),
        "fallback": {
            "failureThreshold": scaling.fallback.failures,
            "replicas": scaling.fallback.replicas or max(scaling.min, 1),
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {
            # Whoever scales the model next finds what is there.
            "restoreToOriginalReplicaCount": False,
            "horizontalPodAutoscalerConfig": {"behavior": behavior(scaling.speed)},
        },
        "triggers": [
            *(_prometheus(signal, model, scaling, namespace, prometheus) for signal in scaling.signals),
            *(_cron(window) for window in scaling.windows),
        ],
    }


def _to_zero(scaling: KedaScaling) -> dict[str, int]:
    """Return the times that KEDA reads only where the minimum is 0; elsewhere its webhook warns of them."""
    if scaling.min > 0:
        return {}
    times = scaling.to_zero
    return {
        "pollingInterval": times.polling_seconds,
        "cooldownPeriod": times.cooldown_seconds,
        # So long after the first deployment, too: a new model must not go before anybody could ask it.
        "initialCooldownPeriod": times.cooldown_seconds,
    }


def _prometheus(
    signal: Signal, model: Model, scaling: KedaScaling, namespace: str, prometheus: str
) -> dict[str, Any]:
    query = _QUERIES[signal](namespace, model.name)
    if scaling.min == 0 and signal in _OF_REPLICAS:
        query = signals.or_zero_without_replicas(query, namespace, predictor_name(model.name))
    return {
        "type": "prometheus",
        "name": signal,
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": prometheus,
            "query": query,
            "threshold": format(threshold(signal, model, scaling), "g"),
            # Above it, a model without replicas gets its first: any demand at all.
            "activationThreshold": "0",
            # An empty answer is a failure, and after some of them the fallback holds. KEDA's default reads it as 0.
            "ignoreNullValues": "false",
            "timeout": TIMEOUT_MS,
        },
    }


def threshold(signal: Signal, model: Model, scaling: KedaScaling) -> float:
    """Return what one replica takes of a signal, in the query's own unit."""
    targets = scaling.targets
    match signal:
        case "running":
            return model.engine.max_num_seqs * targets.running / 100
        case "waiting":
            return targets.waiting
        case "kv-cache":
            return targets.kv_cache / 100
        case "gpu-utilization":
            return targets.gpu_utilization
        case "gateway-demand":
            return targets.gateway_demand


def _cron(window: Window) -> dict[str, Any]:
    return {
        "type": "cron",
        "name": window.name,
        "metricType": "AverageValue",
        "metadata": {
            "timezone": window.timezone,
            "start": window.start,
            "end": window.end,
            "desiredReplicas": str(window.replicas),
        },
    }
