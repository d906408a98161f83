"""Pods, wherever an object describes one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .model import Resource, any_of
from .values import UNKNOWN, at, elements, entries, number, text

GPU: Final = "nvidia.com/gpu"
MODEL_LABEL: Final = "vllm-platform.io/model"
TIER_LABEL: Final = "vllm-platform.io/tier"
MODEL: Final = "InferenceService"
_TEMPLATE: Final = ("spec", "template")
# Kind -> where its pods' template lies: metadata and spec. KServe keeps a pod's fields in the predictor itself.
_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), _TEMPLATE),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    "Pod": (),
}
POD_KINDS: Final = (MODEL, *_TEMPLATES)
has_pods: Final = any_of(*POD_KINDS)
is_model: Final = any_of(MODEL)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What an object makes pods of. kind, namespace: the object's. labels: those that its pods have."""

    kind: str
    namespace: Any
    labels: Any
    spec: Any

    @property
    def containers(self) -> list[Any]:
        """All containers, those that run first too."""
        return [*elements(self.spec, "containers"), *elements(self.spec, "initContainers")]

    @property
    def wants_gpu(self) -> bool:
        """Whether a container asks for a GPU."""
        return any(gpus(each, "limits") or gpus(each, "requests") for each in self.containers)

    @property
    def engine(self) -> Any:  # noqa: ANN401 - a container, of whatever form
        """The container that serves: the first one. None where there is none."""
        return at(self.spec, "containers", 0)

    @property
    def arguments(self) -> list[str]:
        """Command line of the container that serves, its options written with hyphens."""
        return [_hyphenated(text(each)) for key in ("command", "args") for each in elements(self.engine, key)]


def _hyphenated(argument: str) -> str:
    """Write an option's name as vLLM's parser reads it, which takes `_` there for `-`: not in what follows `=` or `.`."""
    return re.sub(r"^--[^=.]*", lambda name: name[0].replace("_", "-"), argument)


def pod_of(resource: Resource) -> Pod:
    """Return the pods of an object of POD_KINDS."""
    if resource.kind == MODEL:
        # As KServe 0.20 labels them.
        app = UNKNOWN if resource.called is UNKNOWN else f"isvc.{resource.label}-predictor"
        added = entries(resource.props, "spec", "predictor", "labels")
        own = {**added, "app": app, "component": "predictor"}
        labels = UNKNOWN if resource.labels is UNKNOWN else {**entries(resource.labels), **own}
        spec = at(resource.props, "spec", "predictor")
    else:
        template = at(resource.props, *_TEMPLATES[resource.kind])
        labels, spec = at(template, "metadata", "labels"), at(template, "spec")
    return Pod(kind=resource.kind, namespace=resource.namespace, labels=labels, spec=spec)


def predictor(resource: Resource) -> Any:  # noqa: ANN401 - a name that may not be known yet
    """Name of the Deployment, and of the Service, of a model."""
    return UNKNOWN if resource.called is UNKNOWN else f"{resource.label}-predictor"


def is_core(resource: Resource) -> bool:
    """Tell whether a model must always answer."""
    return at(resource.labels, TIER_LABEL) == "core"


def name_of(container: object) -> str:
    """Call a container by its name."""
    return f"container {text(at(container, 'name')) or 'without a name'}"


def gpus(container: object, what: str) -> bool:
    """Tell whether a container's requests or limits name GPUs, or may."""
    found = at(container, "resources", what, GPU)
    return found is UNKNOWN or (number(found) or 0) > 0
