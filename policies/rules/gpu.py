"""GPUs are dear: nothing runs on their nodes but what uses them, and what uses them says so in full."""

from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Found, Resource, Stack, resource_rule, stack_rule
from .values import UNKNOWN, among, at, elements, entries, hidden, is_, leaves, number
from .workloads import (
    GPU,
    MODEL,
    MODEL_LABEL,
    Pod,
    containers_of,
    has_pods,
    name_of,
    parts_of,
    pod_of,
    pods_of,
)

AREA: Final = "GPU"
TAINT: Final = {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
NODE_LABELS: Final = frozenset({"node.kubernetes.io/gpu-type", "vllm-platform.io/pool"})
_TAINT_WORDS: Final = "{key: dedicated, operator: Equal, value: gpu, effect: NoSchedule}"


def _tolerates(toleration: object) -> bool:
    """Tell whether a toleration lets a pod onto GPU nodes."""
    if not (at(toleration, "effect") is None or is_(at(toleration, "effect"), TAINT["effect"])):
        return False
    key, operator = at(toleration, "key"), at(toleration, "operator")
    if operator == "Exists":
        return key is None or is_(key, TAINT["key"])
    return is_(key, TAINT["key"]) and is_(at(toleration, "value"), TAINT["value"])


def _is_tolerated(pod: Pod) -> bool:
    return any(_tolerates(each) for each in elements(pod.spec, "tolerations"))


def _to_mend(inputs: Any) -> Iterator[Pod]:  # noqa: ANN401 - the inputs of an object with pods
    spec = inputs["spec"]
    if "predictor" in spec:
        specs = parts_of(spec)
    else:
        template = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
        specs = [template["template"]["spec"] if "template" in template else template]
    kind = MODEL if "predictor" in spec else ""
    yield from (Pod(kind=kind, owner="", namespace="", labels={}, spec=each) for each in specs)


def _add_toleration(inputs: Any) -> None:  # noqa: ANN401 - as above
    for pod in _to_mend(inputs):
        if pod.wants_gpu and not _is_tolerated(pod):
            pod.spec["tolerations"] = [*elements(pod.spec, "tolerations"), dict(TAINT)]


@resource_rule(
    "gpu-pods-tolerate-the-taint",
    AREA,
    says="A pod that asks for a GPU tolerates the taint of GPU nodes",
    fix=f"add {_TAINT_WORDS} to its tolerations",
    types=has_pods,
    remedy=_add_toleration,
)
def tolerated(resource: Resource, _: Config) -> Iterator[str]:
    """Without it the pod waits for ever."""
    for pod in pods_of(resource):
        if pod.wants_gpu and not _is_tolerated(pod) and not hidden(pod.spec, "tolerations"):
            yield f"{resource.kind} {pod.owner} asks for a GPU and does not tolerate dedicated=gpu:NoSchedule"


@resource_rule(
    "gpu-pods-select-their-nodes",
    AREA,
    says="A pod that asks for a GPU says on which kind of GPU, or in which pool",
    fix="add node.kubernetes.io/gpu-type or vllm-platform.io/pool to its nodeSelector",
    types=has_pods,
)
def selected(resource: Resource, _: Config) -> Iterator[str]:
    """A model that fits on one kind of GPU fails on another, hours later."""
    for pod in pods_of(resource):
        if pod.wants_gpu and not _is_selective(pod):
            yield f"{resource.kind} {pod.owner} asks for a GPU and may land on any node that has one"


def _is_selective(pod: Pod) -> bool:
    """Tell whether a pod names a kind of GPU or a pool, or may."""
    selector = at(pod.spec, "nodeSelector")
    terms = at(
        pod.spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )  # each term must name the kind: they are alternatives
    listed = elements(terms, "nodeSelectorTerms")
    by_affinity = terms is UNKNOWN or (
        bool(listed)
        and all(
            any(among(at(each, "key"), NODE_LABELS) for each in elements(term, "matchExpressions"))
            for term in listed
        )
    )
    return by_affinity or selector is UNKNOWN or bool(NODE_LABELS & set(entries(selector)))


def _request_the_limit(inputs: Any) -> None:  # noqa: ANN401 - as above
    for container in (each for pod in _to_mend(inputs) for each in pod.containers):
        resources = container.get("resources", {})
        if GPU in resources.get("limits", {}):
            resources.setdefault("requests", {})[GPU] = resources["limits"][GPU]


@resource_rule(
    "gpu-request-is-the-limit",
    AREA,
    says="A container's limit of GPUs is its request of GPUs",
    fix="set limits and requests of nvidia.com/gpu to the same whole number: GPUs are not shared",
    types=has_pods,
    remedy=_request_the_limit,
)
def request_is_limit(resource: Resource, _: Config) -> Iterator[str]:
    """Kubernetes refuses the pod, not the object that makes it: a model would have no replicas and no error."""
    for pod, container in containers_of(resource):
        limit = at(container, "resources", "limits", GPU)
        request = at(container, "resources", "requests", GPU)
        if UNKNOWN in (limit, request) or (limit is None and request is None):
            continue
        if limit is None:
            yield f"{name_of(container)} of {pod.owner} requests {request} GPUs without a limit"
        elif request is not None and number(request) != number(limit):
            yield f"{name_of(container)} of {pod.owner} requests {request} GPUs and is limited to {limit}"
        elif (number(limit) or 0) % 1:
            yield f"{name_of(container)} of {pod.owner} asks for {limit} GPUs"


@resource_rule(
    "gpus-are-for-models",
    AREA,
    says="Nothing but a model asks for a GPU, no pod of the system and no chart",
    fix=f"remove {GPU} from its resources, or label its pods with the model that they serve ({MODEL_LABEL})",
    types=lambda resource: has_pods(resource) or resource.is_chart,
)
def only_models(resource: Resource, _: Config) -> Iterator[str]:
    """Settings can not see what is written by hand, nor the values of charts."""
    if resource.is_chart:
        for path, value in leaves(at(resource.props, "values")):
            if path[-1:] == (GPU,) and (number(value) or 0) > 0:
                yield f"the chart {resource.label} asks for {value} GPUs in {'.'.join(path)}"
    elif resource.kind != MODEL and at(pod_of(resource).labels, MODEL_LABEL) is None:
        for container in pod_of(resource).containers:
            if any(
                at(container, "resources", what, GPU) not in (None, UNKNOWN, 0, "0")
                for what in ("limits", "requests")
            ):
                yield f"{name_of(container)} of {resource.kind} {resource.label} asks for a GPU"


@resource_rule(
    "only-gpu-pods-tolerate-the-taint",
    AREA,
    says="A pod without a GPU does not tolerate the taint of GPU nodes, unless there is one on every node",
    fix="remove the toleration of dedicated=gpu, or run it as a DaemonSet",
    types=has_pods,
)
def others_do_not(resource: Resource, _: Config) -> Iterator[str]:
    """Nodes with GPUs cost ten times what others do."""
    for pod in pods_of(resource):
        tolerations = elements(pod.spec, "tolerations")
        certain = [each for each in tolerations if UNKNOWN not in entries(each).values()]
        without = not (pod.wants_gpu or hidden(pod.spec, "containers") or pod.engine is UNKNOWN)
        if pod.kind != "DaemonSet" and without and any(_tolerates(each) for each in certain):
            yield f"{resource.kind} {pod.owner} may land on GPU nodes and asks for no GPU"


@stack_rule(
    "gpu-metrics-are-collected",
    AREA,
    says="Where models run on GPUs, NVIDIA's exporter shows what the GPUs do",
    fix="set `addons: {dcgm_exporter: managed}`, or `existing` where the cluster has it",
    levels={"dev": "advisory"},
)
def collected(stack: Stack, config: Config) -> Iterator[Found]:
    """Without it there is no alert on a broken GPU, and none is scaled by its load."""
    on_gpus = [each for each in stack.models if any(pod.wants_gpu for pod in pods_of(each))]
    others = [
        *(each for each in stack.of("DaemonSet") if "dcgm" in each.label),
        *(
            each
            for each in stack.charts("gpu-operator")
            if not is_(at(each.props, "values", "dcgmExporter", "enabled"), False)
        ),
    ]
    there = stack.may_have("dcgm-exporter") or bool(others)
    if on_gpus and not there and config.addons.get("dcgm_exporter") != "existing":
        yield Found(message=f"{len(on_gpus)} models run on GPUs and no DCGM exporter is there")


RULES: Final = (
    tolerated,
    selected,
    request_is_limit,
    only_models,
    others_do_not,
    collected,
)
