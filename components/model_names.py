"""Names and labels of a model's objects: what KServe derives, and what this program adds."""

from typing import Final

from settings.models import Model
from settings.scalars import PREDICTOR_SUFFIX

PREDICTOR_CONTAINER: Final = "kserve-container"
"""KServe renames a custom predictor's container to this: any other name differs at every `pulumi up`."""
MODEL_LABEL: Final = "vllm-platform.io/model"
REVISION_LABEL: Final = "vllm-platform.io/revision"
TIER_LABEL: Final = "vllm-platform.io/tier"


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


def pod_selector(model: str) -> dict[str, str]:
    """Labels that select the model's pods: the Deployment's own selector, which no label of ours changes."""
    return {"app": f"isvc.{predictor_name(model)}"}


def model_labels(model: Model) -> dict[str, str]:
    """Labels of a model's objects. KServe copies the InferenceService's to Deployment, Service and pods."""
    return {
        "app.kubernetes.io/name": "vllm",
        "app.kubernetes.io/instance": model.name,
        "app.kubernetes.io/version": model.image.tag,
        "app.kubernetes.io/component": "predictor",
        "app.kubernetes.io/part-of": "vllm-platform",
        MODEL_LABEL: model.name,
        REVISION_LABEL: model.revision,
        TIER_LABEL: model.tier,
    }
