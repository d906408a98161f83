"""Volumes, mounts and environment of an engine's container: its root file system is read-only."""

from dataclasses import dataclass
from typing import Any, Final

from components.content_filter import FILE, MOUNT, VOLUME
from settings.models import Model
from settings.needed_secrets import STORE_KEYS
from settings.storage import CompatibleBucket
from settings.weights import CachedWeights, StreamedWeights

# All scratch lies below /tmp, which the settings refuse as a place of weights: no volume here can hide a
# baked model.
TMP: Final = "/tmp"  # noqa: S108 - a mount point in the container, not a file of this program
HOME: Final = f"{TMP}/home"
CACHE: Final = f"{TMP}/cache"
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - as above

TMP_SIZE: Final = "2Gi"
HOME_SIZE: Final = "1Gi"
# Compiled graphs and kernels: 0.5 to 2 GB a model; the rest is room for a second shape after a change of
# flags.
CACHE_SIZE: Final = "10Gi"
# NCCL and vLLM's message queue between its processes; 2 GiB is the size in vLLM's Kubernetes manifests,
# here per GPU.
SHARED_MEMORY_GIB_PER_GPU: Final = 2
KEEP_ALIVE_SECONDS: Final = 75
"""For how long an engine keeps a connection that nobody uses. vLLM's own 5 s are less than what proxies do (Kong: 60 s): it would
end one just as a request comes on it, and no proxy may repeat that request."""


@dataclass(frozen=True, kw_only=True)
class EngineFiles:
    """What a pod mounts. `volumes` belong to the pod, `mounts` to its container."""

    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]


def engine_files(model: Model, filter_config: object = None) -> EngineFiles:
    """Return scratch space, shared memory where GPUs work together, and the claims of weights and mounts.

    filter_config: name of the content filter's ConfigMap, text or an Output of it; None is no filter.
    """
    volumes = [_scratch("tmp", TMP_SIZE), _scratch("home", HOME_SIZE), _scratch("cache", CACHE_SIZE)]
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": TMP},
        {"name": "home", "mountPath": HOME},
        {"name": "cache", "mountPath": CACHE},
    ]
    if model.gpus > 1:
        # What is written here counts against the container's memory limit.
        size = f"{SHARED_MEMORY_GIB_PER_GPU * model.gpus}Gi"
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": size}})
        mounts.append({"name": "shared-memory", "mountPath": SHARED_MEMORY})
    if isinstance(model.weights, CachedWeights):
        volumes.append(_claim("weights", model.weights.claim, read_only=True))
        mounts.append({"name": "weights", "mountPath": model.weights.mount_path, "readOnly": True})
    for index, mount in enumerate(model.mounts):
        name = f"mount-{index}"
        volumes.append(_claim(name, mount.claim, read_only=mount.read_only))
        mounts.append(
            {"name": name, "mountPath": mount.path, **({"readOnly": True} if mount.read_only else {})}
        )
    if filter_config is not None:
        volumes.append({"name": VOLUME, "configMap": {"name": filter_config}})
        mounts.append({"name": VOLUME, "mountPath": MOUNT, "readOnly": True})
    return EngineFiles(volumes=volumes, mounts=mounts)


def engine_environment(
    model: Model, region: str, store: CompatibleBucket | None = None, *, filtered: bool = False
) -> list[dict[str, Any]]:
    """Return the container's variables, in a fixed order. `store`: where streamed weights lie, if not on Amazon S3.

    filtered: a content filter is mounted.

    HOME and USER are needed: without them user 1001 crashes vLLM at import where the image has no passwd
    line for it.
    """
    variables = {
        "HOME": HOME,
        "USER": "vllm",
        "XDG_CACHE_HOME": CACHE,
        "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE}/inductor",
        "TRITON_CACHE_DIR": f"{CACHE}/triton",
        "HF_HOME": f"{CACHE}/huggingface",
        # Weights never come from a hub at run time, so a missing file must fail at once instead of after
        # retries.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS),
        # The middleware's (docker/vllm/vllm_platform_middleware/configuration.py).
        "VP_SERVICE": model.name,
        "VP_MODEL_VERSION": model.image.tag,
    }
    if filtered:
        variables["VP_FILTER_FILE"] = f"{MOUNT}/{FILE}"
    if not isinstance(model.weights, StreamedWeights):
        return written(variables)
    if store is not None:
        # The bucket in the path: its name before the host would need a DNS name and a certificate for each.
        variables["RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING"] = "0"
    return [*written(variables), *bucket_environment(region, store)]


def tracing_environment(model: Model, collector: str | None) -> list[dict[str, Any]]:
    """Return the variables of an engine that writes spans: by what name it is known there."""
    return [] if collector is None else written({"OTEL_SERVICE_NAME": model.name})


def bucket_environment(region: str, store: CompatibleBucket | None) -> list[dict[str, Any]]:
    """Return the variables of whoever reads the bucket: Amazon's clients, and the streamer, know them by these names."""
    if store is None:
        return written({"AWS_REGION": region})
    address = {
        "AWS_REGION": store.region,
        "AWS_ENDPOINT_URL": store.endpoint,
        # Outside of Amazon's network the client would wait for an address that nobody answers.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    keys = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": store.credentials_secret, "key": key}}}
        for key in STORE_KEYS
    ]
    return [*written(address), *keys]


def written(variables: dict[str, str]) -> list[dict[str, Any]]:
    """Return variables as a container has them."""
    return [{"name": name, "value": value} for name, value in variables.items()]


def _scratch(name: str, size: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def _claim(name: str, claim: str, *, read_only: bool) -> dict[str, Any]:
    source: dict[str, Any] = {"claimName": claim, **({"readOnly": True} if read_only else {})}
    return {"name": name, "persistentVolumeClaim": source}
