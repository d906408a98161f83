"""How fast a scaler adds replicas and takes them away, and what is often asked of a scaler that none can do."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from settings.base import Section
from settings.scalars import Positive

# Limits of HorizontalPodAutoscaler (its validation, Kubernetes 1.36).
WindowSeconds = Annotated[int, Field(strict=True, ge=0, le=3600)]
PeriodSeconds = Annotated[int, Field(strict=True, ge=1, le=1800)]

_SIGNALS: Final = "use `kind: keda` with `signals: [running, waiting, kv-cache]`"
_STANDARD: Final = (
    "of Knative's scaler: in Standard mode, which serves here, KServe ignores it without a word"
)
_TARGET: Final = (
    "a scaler's target is no setting: it is the model's Deployment; an InferenceService has no scale subresource, "
    "so an autoscaler that names one never acts"
)
_OWNER: Final = "the number of replicas is the scaler's, not the InferenceService's"
SCALER_MISTAKES: Final[Mapping[str, tuple[str, str]]] = {
    "concurrency": (f"concurrency is {_STANDARD}", _SIGNALS),
    "containerConcurrency": (f"containerConcurrency is {_STANDARD}", _SIGNALS),
    "metric": (
        f"a scaler's metric is no setting: hpa reads GPU utilisation, and concurrency and rps are {_STANDARD}",
        _SIGNALS,
    ),
    "scaleMetric": (f"scaleMetric is {_STANDARD}, or refuses it", _SIGNALS),
    "scaleTarget": (
        f"scaleTarget is {_STANDARD}",
        "write `targets:` of kind keda, or gpu_utilization of kind hpa",
    ),
    "target": (_TARGET, "remove it"),
    "scaleTargetRef": (_TARGET, "remove it"),
    "minReplicas": (_OWNER, "write min"),
    "maxReplicas": (_OWNER, "write max"),
}
"""Keys of an autoscaler that come from other systems: what each would do here, and what to write instead."""


class Speed(Section):
    """How fast replicas come and go: so many in a period, and only what was right for a whole window.

    A start costs minutes of a GPU. So many bad minutes, and not one quiet one, are a reason to give a replica up.
    """

    up_window_seconds: WindowSeconds = 60
    up_replicas: Positive = 4
    up_period_seconds: PeriodSeconds = 60
    down_window_seconds: WindowSeconds = 600
    down_replicas: Positive = 1
    down_period_seconds: PeriodSeconds = 120
