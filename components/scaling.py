"""What keeps replicas: the disruption budget of a model, and its autoscaler where one is asked for."""

from typing import TYPE_CHECKING, Final

from components.model_names import pod_selector, predictor_name
from settings.scaling import HpaScaling

if TYPE_CHECKING:
    from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscalerSpecArgsDict, MetricSpecArgsDict
    from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgsDict

GPU_UTILIZATION_METRIC: Final = "DCGM_FI_DEV_GPU_UTIL"
"""Percent, per pod, by DCGM exporter and Prometheus Adapter."""
# A start costs minutes of a GPU: take many bad minutes, not one quiet one, as a reason to give a replica up.
SCALE_DOWN_WINDOW_SECONDS: Final = 600
SCALE_DOWN_PERIOD_SECONDS: Final = 120
SCALE_UP_WINDOW_SECONDS: Final = 60


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
        "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": predictor_name(model)},
        "min_replicas": scaling.min,
        "max_replicas": scaling.max,
        "metrics": [metric],
        "behavior": {
            "scale_up": {"stabilization_window_seconds": SCALE_UP_WINDOW_SECONDS},
            "scale_down": {
                "stabilization_window_seconds": SCALE_DOWN_WINDOW_SECONDS,
                "policies": [{"type": "Pods", "value": 1, "period_seconds": SCALE_DOWN_PERIOD_SECONDS}],
            },
        },
    }
