"""Models behind the gateway: one of the stack `local`, deployed by the program, and further versions of it beside it."""

import copy
from typing import Any, Final, cast

from components.model_names import PREDICTOR_CONTAINER, predictor_name
from rehearsal.cluster.api import Object
from settings import stack_yaml
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.isolated import REPOSITORY

MODEL: Final = "qwen-7b-vllm"
VERSION_LABEL: Final = "app.kubernetes.io/version"
# Somebody else's Prometheus: its kinds are there, and the test runs one.
ADDONS: Final = {
    "gateway_api": "managed",
    "envoy_gateway": "managed",
    "kserve": "existing",
    "prometheus": "existing",
}
PUSHED: Final = "sha256:" + "1" * 64
# Short, so that a test sees the whole of it: the settings' own are for generations of minutes.
LIFECYCLE: Final = {"pre_stop_seconds": 2, "drain_seconds": 30, "startup_seconds": 60}
GPU_NODES: Final = 8


def sections(replicas: int = 1) -> dict[str, Any]:
    """Return the settings of a stack with the gateway and one model of the stack `local`, on pools of fixed size."""
    content = stack_yaml.load((REPOSITORY / "Pulumi.local.yaml").read_text("utf-8"))
    local = cast("dict[str, Any]", content)["config"]
    (model,) = [each for each in local["vllm-platform:models"] if each["name"] == MODEL]
    model["image"]["digest"] = PUSHED
    model["autoscaling"] = {"kind": "fixed", "replicas": replicas}
    model["lifecycle"] = LIFECYCLE
    (pool,) = [each for each in local["vllm-platform:pools"] if each["name"] == "a10"]
    pool |= {"min": GPU_NODES, "max": GPU_NODES, "provisioner": {"kind": "managed"}}
    platform = {**pool, "kind": "cpu", "name": "platform", "instance_type": "c6i.4xlarge", "min": 3, "max": 3}
    return {"addons": ADDONS, "pools": [platform, pool], "models": [model]}


def service(version: str = "") -> str:
    """Return the name of the model's Service, or of a further version's."""
    return f"{predictor_name(MODEL)}{version and '-'}{version}"


def add_version(
    plane: DataPlane, version: str, replicas: int = 1, *, max_num_seqs: int | None = None
) -> None:
    """Deploy one more version beside the program's: the same pod with another tag, and a Service of its own.

    max_num_seqs: requests that its engine works at at once; None is as many as the program's.
    """
    there = plane.api.get("apps/v1", "Deployment", service(), MODELS)
    assert there is not None
    labels = {"app": service(version), VERSION_LABEL: version}
    template: Object = copy.deepcopy(there["spec"]["template"])
    template["metadata"] = {"labels": labels}
    (container,) = [each for each in template["spec"]["containers"] if each["name"] == PREDICTOR_CONTAINER]
    if max_num_seqs is not None:
        flag = "--max-num-seqs="
        others = [word for word in container["args"] if not word.startswith(flag)]
        container["args"] = [*others, f"{flag}{max_num_seqs}"]
    for variable in container["env"]:
        if variable["name"] == "VP_MODEL_VERSION":
            variable["value"] = version
    meta = {"name": service(version), "namespace": MODELS, "labels": labels}
    selector = {"app": labels["app"]}
    plane.api.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": selector},
                "strategy": there["spec"]["strategy"],
                "template": template,
            },
        }
    )
    port = {"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}
    plane.api.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": selector, "ports": [port]},
        }
    )


def scale(plane: DataPlane, version: str, replicas: int) -> None:
    """Ask for this many replicas of a further version, and wait until they are there and ready."""
    name = service(version)
    found = plane.api.get("apps/v1", "Deployment", name, MODELS)
    assert found is not None
    plane.api.apply({**_bare(found), "spec": {**found["spec"], "replicas": replicas}})
    wait_for(plane, version, replicas)


def wait_for(plane: DataPlane, version: str, replicas: int) -> None:
    """Wait until a version has so many replicas, all of the newest template, and no other pods."""

    def there() -> bool:
        found = plane.api.get("apps/v1", "Deployment", service(version), MODELS) or {}
        status = found.get("status", {})
        return (
            status.get("observedGeneration") == found.get("metadata", {}).get("generation")
            and status.get("readyReplicas", 0) == status.get("replicas", 0) == replicas
            # A new ReplicaSet without pods yet is seen before the old one has lost any.
            and status.get("updatedReplicas", 0) == replicas
        )

    plane.until(f"{service(version)} has {replicas} replicas", there)


def _bare(found: Object) -> Object:
    meta = {key: found["metadata"][key] for key in ("name", "namespace", "labels")}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": meta}
