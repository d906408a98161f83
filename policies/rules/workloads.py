"""Pods, wherever an object describes one."""

import re
from collections.abc import Iterator, Mapping
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
# Parts of an InferenceService with pods of their own -> where they lie, and whose labels they have.
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "worker": ("predictor", "workerSpec"),
    "transformer": ("transformer",),
    "explainer": ("explainer",),
}
# Where a part leaves its container to a runtime of KServe's, and says what is special about it.
_RUNTIMES: Final = (
    "model",
    "art",
    "huggingface",
    "lightgbm",
    "onnx",
    "paddle",
    "pmml",
    "pytorch",
    "sklearn",
    "tensorflow",
    "triton",
    "xgboost",
)
POD_KINDS: Final = (MODEL, *_TEMPLATES)
has_pods: Final = any_of(*POD_KINDS)
is_model: Final = any_of(MODEL)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What an object makes pods of. kind, namespace: the object's. labels: those that its pods have.

    owner: what people call the object, and the part of it that has these pods.
    """

    kind: str
    owner: str
    namespace: Any
    labels: Any
    spec: Any

    @property
    def containers(self) -> list[Any]:
        """All containers, those that run first and one of a runtime too."""
        return [
            *self._run_by_a_runtime,
            *elements(self.spec, "containers"),
            *elements(self.spec, "initContainers"),
        ]

    @property
    def _run_by_a_runtime(self) -> list[Any]:
        if self.kind != MODEL:
            return []
        return [each for each in (entries(self.spec, key) for key in _RUNTIMES) if each]

    @property
    def wants_gpu(self) -> bool:
        """Whether a container asks for a GPU."""
        return any(gpus(each, "limits") or gpus(each, "requests") for each in self.containers)

    @property
    def engine(self) -> Any:  # noqa: ANN401 - a container, of whatever form
        """The container that serves: a runtime's, else the first one. None where there is none."""
        if self.kind == MODEL and any(at(self.spec, key) is UNKNOWN for key in _RUNTIMES):
            return UNKNOWN
        return next(iter(self._run_by_a_runtime), at(self.spec, "containers", 0))

    @property
    def arguments(self) -> list[str]:
        """Command line of the container that serves, its options written with hyphens."""
        return [_hyphenated(text(each)) for key in ("command", "args") for each in elements(self.engine, key)]


def _hyphenated(argument: str) -> str:
    """Write an option's name as vLLM's parser reads it, which takes `_` there for `-`: not in what follows `=` or `.`."""
    return re.sub(r"^--[^=.]*", lambda name: name[0].replace("_", "-"), argument)


def pod_of(resource: Resource) -> Pod:
    """Return the pods of an object of POD_KINDS; of a model those that serve it."""
    if resource.kind == MODEL:
        return _part_of(resource, "", ("predictor",))
    template = at(resource.props, *_TEMPLATES[resource.kind])
    return Pod(
        kind=resource.kind,
        owner=resource.label,
        namespace=resource.namespace,
        labels=at(template, "metadata", "labels"),
        spec=at(template, "spec"),
    )


def pods_of(resource: Resource) -> list[Pod]:
    """Return all pods of an object of POD_KINDS: those that serve a model first, then those of its other parts."""
    parts = _PARTS if resource.kind == MODEL else {}
    return [
        pod_of(resource),
        *(
            _part_of(resource, part, path)
            for part, path in parts.items()
            if entries(resource.props, "spec", *path)
        ),
    ]


def containers_of(resource: Resource) -> Iterator[tuple[Pod, Any]]:
    """Yield all containers of an object of POD_KINDS, with the pods that they are in."""
    for pod in pods_of(resource):
        yield from ((pod, each) for each in pod.containers)


def _part_of(resource: Resource, part: str, path: tuple[str, ...]) -> Pod:
    """Return the pods of a part of a model, as KServe 0.20 labels them."""
    component = path[0]
    last = "-worker" if part == "worker" else ""
    app = UNKNOWN if resource.called is UNKNOWN else f"isvc.{resource.label}-{component}{last}"
    added = at(resource.props, "spec", component, "labels")
    own = {**entries(added), "app": app, "component": component}
    return Pod(
        kind=resource.kind,
        owner=f"{resource.label} ({part})" if part else resource.label,
        namespace=resource.namespace,
        labels=UNKNOWN if UNKNOWN in (resource.labels, added) else {**entries(resource.labels), **own},
        spec=at(resource.props, "spec", *path),
    )


def parts_of(spec: Any) -> list[Any]:  # noqa: ANN401 - inputs of a model
    """Return what a model's pods are made of, to be changed in place."""
    return [spec["predictor"], *(found for path in _PARTS.values() if (found := at(spec, *path)))]


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
