"""How a rollout stands in the cluster: the weight that the live route has and since when, and how the candidate's pods are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ops.cluster_api import Seen
from ops.rollout.judge import Health
from settings.scalars import CANARY_SUFFIX, PREDICTOR_SUFFIX, TEMPLATE_ANNOTATION

ROUTES: Final = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}"
SERVICES: Final = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
PODS: Final = "/api/v1/namespaces/{namespace}/pods"
SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
NOT_READY_SECONDS: Final = 60.0
"""For so long it may be a pod that is replaced; longer, it is the release."""
_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)

# Of whatever kind: what the API server answers has no types.
Object = Any


class Reader(Protocol):
    """Gets objects of a cluster."""

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Seen:
        """Return the object at a path. Raises ClusterError."""
        ...


class Remover(Protocol):
    """Removes objects of a cluster."""

    def delete(self, path: str) -> None:
        """Remove the object at a path, if it is there. Raises ClusterError."""
        ...


@dataclass(frozen=True, kw_only=True)
class Live:
    """What the cluster says of one model.

    weight: percent of the traffic that the route gives to the candidate; None where there is no route.
    age: seconds since route and candidate were last changed. health: of the candidate; None where none stands.
    replicas: that the stable version is asked for. settled: all of them run what its InferenceService asks for.
    images, addresses: of the Deployment's container, and of the pods, by InferenceService.
    """

    weight: int | None
    age: float
    health: Health | None
    replicas: int | None
    settled: bool
    images: Mapping[str, str]
    addresses: Mapping[str, Sequence[str]]


def look(reader: Reader, namespace: str, model: str) -> Live:
    """Look once. Raises ClusterError."""
    candidate = model + CANARY_SUFFIX
    route = reader.get(ROUTES.format(namespace=namespace, name=model))
    asked, service = (
        reader.get(SERVICES.format(namespace=namespace, name=name)) for name in (model, candidate)
    )
    deployments: dict[str, Object] = {}
    addresses: dict[str, list[str]] = {}
    restarts: dict[str, int] = {}
    for name in (model, candidate):
        path = DEPLOYMENTS.format(namespace=namespace, name=name + PREDICTOR_SUFFIX)
        deployments[name] = reader.get(path).content
        pods = _pods(reader, namespace, name)
        addresses[name] = [pod["status"]["podIP"] for pod in pods if pod.get("status", {}).get("podIP")]
        restarts[name] = sum(map(_restarts, pods))
    stable = deployments[model]
    changed = max(_changed(seen.content) for seen in (route, service))
    return Live(
        weight=None if route.content is None else _weight(route.content, candidate + PREDICTOR_SUFFIX),
        age=max(0.0, (route.at - changed).total_seconds()),
        health=None
        if service.content is None
        else _health(service.content, deployments[candidate], restarts[candidate], service.at),
        replicas=stable["spec"].get("replicas") if stable else None,
        settled=bool(stable) and _settled(stable) and _revision_of(asked.content) == _revision_of(stable),
        images={name: _image(found) for name, found in deployments.items() if found},
        addresses=addresses,
    )


def remove_candidate(remover: Remover, namespace: str, model: str) -> None:
    """Remove the candidate's InferenceService, and so its pods. Raises ClusterError."""
    remover.delete(SERVICES.format(namespace=namespace, name=model + CANARY_SUFFIX))


def _image(deployment: Object) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _restarts(pod: Object) -> int:
    containers = _listed(pod.get("status", {}).get("containerStatuses"))
    return sum(int(container.get("restartCount", 0)) for container in containers)


def _settled(deployment: Object) -> bool:
    wanted, status = deployment["spec"].get("replicas"), deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"].get("generation")
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return current and all(count == wanted for count in counts)


def _revision_of(found: Object) -> str | None:
    """Return which revision an InferenceService asks for, or a Deployment runs. KServe brings it from one to the other."""
    spec: Object = found["spec"] if found else {}
    pods: Object = spec.get("predictor") or spec.get("template", {}).get("metadata", {})
    return pods.get("annotations", {}).get(TEMPLATE_ANNOTATION)


def _pods(reader: Reader, namespace: str, service: str) -> list[Object]:
    seen = reader.get(PODS.format(namespace=namespace), {"labelSelector": f"{SERVICE_LABEL}={service}"})
    content: Object = seen.content
    return _listed(content.get("items") if content else None)


def _weight(route: Object, backend: str) -> int:
    found = [
        int(reference.get("weight", 1))
        for rule in _listed(route["spec"].get("rules"))
        for reference in _listed(rule.get("backendRefs"))
        if reference["name"] == backend
    ]
    return max(found, default=0)


def _changed(found: Object) -> datetime:
    """Return when the spec of an object was last written, by whomever; a status is written all the time."""
    metadata: Object = found["metadata"] if found else {}
    times = [
        _time(str(entry["time"]))
        for entry in _listed(metadata.get("managedFields"))
        if not entry.get("subresource") and "f:spec" in entry.get("fieldsV1", {}) and entry.get("time")
    ]
    created = metadata.get("creationTimestamp")
    return max(times, default=_time(str(created)) if created else _EPOCH)


def _health(service: Object, deployment: Object, restarts: int, now: datetime) -> Health:
    conditions: list[Mapping[str, str]] = _listed(service.get("status", {}).get("conditions"))
    none: Mapping[str, str] = {}
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), none)
    replicas = int(deployment.get("status", {}).get("availableReplicas", 0)) if deployment else 0
    if ready.get("status") == "True":
        return Health(state="ready", replicas=replicas, restarts=restarts)
    since = ready.get("lastTransitionTime")
    lasting = since is not None and (now - _time(since)).total_seconds() >= NOT_READY_SECONDS
    why = [
        f"{condition['type']}: {condition.get('message') or condition.get('reason', '')}"
        for condition in conditions
        if condition["status"] != "True"
    ]
    return Health(
        state="not ready" if lasting else "not ready yet",
        replicas=replicas,
        restarts=restarts,
        why="; ".join(why) or "no status",
    )


def _listed(value: Object) -> list[Object]:
    """Return a list that may not be there: the API writes nothing, or null."""
    return list(value) if value else []


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
