"""Images: which one runs is certain, comes from where it may, and its containers can do little harm."""

from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Resource, resource_rule
from .values import UNKNOWN, at, entries, is_, text
from .workloads import Pod, containers_of, has_pods, is_model, name_of, pods_of

AREA: Final = "images"
DIGEST: Final = "@sha256:"
DOCKER_HUB: Final = "docker.io"


def _containers(resource: Resource) -> Iterator[tuple[Pod, Any, str]]:
    """Yield each container with its pod, and with what people call it."""
    for pod, container in containers_of(resource):
        yield pod, container, f"{name_of(container)} of {pod.owner}"


def _images(resource: Resource) -> Iterator[tuple[str, str]]:
    for _, container, called in _containers(resource):
        image = at(container, "image")
        if image is not UNKNOWN:
            yield called, text(image)


@resource_rule(
    "model-images-by-digest",
    AREA,
    says="A model's image is named by its digest",
    fix="add @sha256:... to the image (`image.digest` in the settings): a tag can be moved",
    types=is_model,
    levels={"dev": "advisory"},
)
def by_digest(resource: Resource, _: Config) -> Iterator[str]:
    """What was tried in staging is what runs in prod."""
    for called, image in _images(resource):
        if DIGEST not in image:
            yield f"{called} runs {image or 'no image'}, which is no digest"


@resource_rule(
    "images-have-a-version",
    AREA,
    says="Every image has a tag, other than latest, or a digest",
    fix="name the version that was tried",
    types=has_pods,
)
def versioned(resource: Resource, _: Config) -> Iterator[str]:
    """A pod that is restarted must not become another program."""
    for called, image in _images(resource):
        tag = image.rpartition("/")[2].partition(":")[2]
        if DIGEST not in image and tag in {"", "latest"}:
            yield f"{called} runs {image or 'no image'}, of whatever version"


@resource_rule(
    "images-from-allowed-registries",
    AREA,
    says="Images come from registries that the stack allows, where it lists them",
    fix="take the image from one of them, or add its registry to `policies.registries`",
    types=has_pods,
    options={"registries": {"type": "array", "items": {"type": "string"}}},
)
def allowed(resource: Resource, config: Config) -> Iterator[str]:
    """A list entry is a host, or a host with the beginning of a path."""
    for called, image in _images(resource):
        full = _full_name(image)
        if image and config.registries and not any(_below(full, each) for each in config.registries):
            yield f"{called} runs {image}, and only {', '.join(config.registries)} may be used"


def _full_name(image: str) -> str:
    """Return a reference with its registry. Docker's own is left out by custom."""
    first, slash, _ = image.partition("/")
    named = bool(slash) and (any(mark in first for mark in ".:") or first == "localhost")
    return image if named else f"{DOCKER_HUB}/{image if slash else f'library/{image}'}"


def _below(image: str, registry: str) -> bool:
    place = registry.rstrip("/")
    return image.startswith((f"{place}/", f"{place}:", f"{place}@"))


@resource_rule(
    "pods-run-as-non-root",
    AREA,
    says="No container runs as root",
    fix="set runAsNonRoot: true in the pod's securityContext, and a runAsUser above 0 where the image names none",
    types=has_pods,
)
def non_root(resource: Resource, _: Config) -> Iterator[str]:
    """Of a container the pod's own word counts, else the pod's."""
    for pod, container, called in _containers(resource):
        if not is_(_setting(pod, container, "runAsNonRoot"), True):
            yield f"{called} may run as root"
        elif _setting(pod, container, "runAsUser") == 0:
            yield f"{called} runs as user 0"


def _setting(pod: Pod, container: object, key: str) -> Any:  # noqa: ANN401 - whatever it says
    own = at(container, "securityContext", key)
    return at(pod.spec, "securityContext", key) if own is None else own


@resource_rule(
    "root-file-systems-are-read-only",
    AREA,
    says="Containers can not change their own image",
    fix="set securityContext.readOnlyRootFilesystem: true, and mount an emptyDir where it must write",
    types=has_pods,
)
def read_only(resource: Resource, _: Config) -> Iterator[str]:
    """What an attacker writes is gone with the pod, and runs nowhere."""
    for _pod, container, called in _containers(resource):
        if not is_(at(container, "securityContext", "readOnlyRootFilesystem"), True):
            yield f"{called} has a root file system that can be written"


@resource_rule(
    "pods-keep-to-themselves",
    AREA,
    says="No pod uses the node's network or processes, and no container may gain rights",
    fix="remove hostNetwork, hostPID, hostIPC and privileged, and set allowPrivilegeEscalation: false",
    types=has_pods,
)
def to_themselves(resource: Resource, _: Config) -> Iterator[str]:
    """In namespaces below `restricted` nothing else refuses it."""
    for pod in pods_of(resource):
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if at(pod.spec, key) is True:
                yield f"{resource.kind} {pod.owner} sets {key}"
    for _pod, container, called in _containers(resource):
        context = entries(container, "securityContext")
        if context.get("privileged") is True:
            yield f"{called} is privileged"
        elif not is_(at(container, "securityContext", "allowPrivilegeEscalation"), False):
            yield f"{called} may gain rights"


RULES: Final = (by_digest, versioned, allowed, non_root, read_only, to_themselves)
