"""Names and labels of a model's objects: what KServe derives, and what this program adds."""

from typing import Final

from settings.models import Model
from settings.scalars import FILL_SUFFIX, PREDICTOR_SUFFIX

SERVING_API: Final = "serving.kserve.io/v1beta1"
SERVING_KIND: Final = "InferenceService"
PREDICTOR_CONTAINER: Final = "kserve-container"
"""KServe renames a custom predictor's container to this: any other name differs at every `pulumi up`."""
PREDICTOR: Final = "predictor"
SERVICE_PORT: Final = 80
"""Of KServe's Service, whatever port the engine listens on."""
MODEL_LABEL: Final = "vllm-platform.io/model"
REVISION_LABEL: Final = "vllm-platform.io/revision"
TIER_LABEL: Final = "vllm-platform.io/tier"
TRACK_LABEL: Final = "vllm-platform.io/track"
"""Which of a model's versions: `stable` or `canary`. Both carry the model's name in MODEL_LABEL."""


def predictor_name(model: str) -> str:
    """Name that KServe gives the model's Deployment and Service in Standard mode."""
    return f"{model}{PREDICTOR_SUFFIX}"


def predictor_url(model: str, namespace: str) -> str:
    """Address of the model inside the cluster.

    This is KServe's `status.address.url`, the predictor's Service on port 80. `status.url` is another one:
    it is made from the ingress domain also where no ingress exists (KServe v0.20.0 httproute_reconciler.go,
    createRawURL).
    """
    return f"http://{predictor_name(model)}.{namespace}.svc.cluster.local"


def fill_account(model: Model) -> str:
    """Name of the service account of the Job that brings the model's weights to its claim."""
    return f"{model.name}{FILL_SUFFIX}"


def fill_selector(model: Model) -> dict[str, str]:
    """Labels that select the pods of that Job."""
    return {"app.kubernetes.io/name": "weight-fill", "app.kubernetes.io/instance": model.name}


def reader_account(model: Model) -> str:
    """Name of the service account under which the model's weights are read from S3. ModelService names its own like the model."""
    return fill_account(model) if model.fill else model.name


def pod_selector(model: str) -> dict[str, str]:
    """Labels that select the model's pods: the Deployment's own selector, which no label of ours changes."""
    return {"app": f"isvc.{predictor_name(model)}"}


def model_selector(model: Model) -> dict[str, str]:
    """Labels that select the pods of all versions of a model."""
    return {"app.kubernetes.io/component": PREDICTOR, MODEL_LABEL: model.served_name}


def model_labels(model: Model) -> dict[str, str]:
    """Labels of a model's objects. KServe copies the InferenceService's to Deployment, Service and pods."""
    return {
        "app.kubernetes.io/name": "vllm",
        "app.kubernetes.io/instance": model.name,
        "app.kubernetes.io/version": model.image.tag,
        "app.kubernetes.io/component": PREDICTOR,
        "app.kubernetes.io/part-of": "vllm-platform",
        MODEL_LABEL: model.served_name,
        REVISION_LABEL: model.revision,
        TIER_LABEL: model.tier,
        TRACK_LABEL: model.track,
    }
