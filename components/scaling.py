"""What keeps replicas: the disruption budget of a model, and its autoscaler where one is asked for."""

from typing import TYPE_CHECKING, Any, Final

from components.model_names import pod_selector, predictor_name
from settings.scaling import HpaScaling
from settings.speed import Speed

if TYPE_CHECKING:
    from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscalerSpecArgsDict, MetricSpecArgsDict
    from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgsDict

GPU_UTILIZATION_METRIC: Final = "DCGM_FI_DEV_GPU_UTIL"
"""Percent, per pod, by DCGM exporter and Prometheus Adapter."""
TAKEN_OVER: Final = "validations.keda.sh/hpa-ownership"
"""KEDA's webhook refuses a ScaledObject beside an autoscaler without this. A change from `hpa` to `keda` has both for a moment,
in which the controller lets neither act (condition AmbiguousSelector)."""


def disruption_budget(model: str) -> "PodDisruptionBudgetSpecArgsDict":
    """Return the spec of a PodDisruptionBudget: one replica at a time.

    A number of pods that must stay would, with one replica, block every drain of its node for ever. Pods
    that are not Ready may always go: they serve nobody, and a model that never starts must not hold a node.
    """
    return {
        "max_unavailable": 1,
        "selector": {"match_labels": pod_selector(model)},
        "unhealthy_pod_eviction_policy": "AlwaysAllow",
    }


def gpu_autoscaler(model: str, scaling: HpaScaling) -> "HorizontalPodAutoscalerSpecArgsDict":
    """Return the spec of a HorizontalPodAutoscaler on GPU utilisation.

    Its target is the Deployment, because an InferenceService has no scale subresource. Without metrics it
    still holds the minimum.
    """
    metric: MetricSpecArgsDict = {
        "type": "Pods",
        "pods": {
            "metric": {"name": GPU_UTILIZATION_METRIC},
            "target": {"type": "AverageValue", "average_value": str(scaling.gpu_utilization)},
        },
    }
    return {
        "scale_target_ref": scale_target(model),
        "min_replicas": scaling.min,
        "max_replicas": scaling.max,
        "metrics": [metric],
        "behavior": behavior(scaling.speed),
    }


def scale_target(model: str) -> Any:  # noqa: ANN401 - one shape for a typed spec and for a custom resource
    """Return the reference to what is scaled: the Deployment, for an InferenceService has no scale subresource."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": predictor_name(model)}


def behavior(speed: Speed) -> Any:  # noqa: ANN401 - as above
    """Return the behavior of a HorizontalPodAutoscaler: up fast but bounded, down slowly, each by one policy."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": speed.up_window_seconds,
            "policies": [_pods(speed.up_replicas, speed.up_period_seconds)],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": speed.down_window_seconds,
            "policies": [_pods(speed.down_replicas, speed.down_period_seconds)],
        },
    }


def _pods(replicas: int, seconds: int) -> dict[str, Any]:
    return {"type": "Pods", "value": replicas, "periodSeconds": seconds}
