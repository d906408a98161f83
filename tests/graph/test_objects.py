"""The objects of each stack, as the API server would get them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from ops.render import RenderSummary
from settings import Settings

pytestmark = pytest.mark.graph

Object = Mapping[str, Any]
CLUSTER_WIDE = {
    "EC2NodeClass",
    "GatewayClass",
    "Namespace",
    "NodePool",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def _predictor(service: Object) -> Any:  # noqa: ANN401
    return service["spec"]["predictor"]


def test_files_begin_as_manifests_do(rendered: RenderSummary) -> None:
    for path in (rendered.out / "kubernetes").iterdir():
        first, second, third = path.read_text().splitlines()[:3]
        assert first.startswith("apiVersion: ")
        assert second.startswith("kind: ")
        assert third == "metadata:"


def test_namespaced_objects_name_their_namespace(objects: list[Object], settings: Settings) -> None:
    named = {o["metadata"]["namespace"] for o in objects if o["kind"] not in CLUSTER_WIDE}
    made = {o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"}
    assert named <= made
    assert settings.namespace in named


def test_a_model_selects_its_pool_and_no_other(
    inference_services: dict[str, Object], settings: Settings
) -> None:
    for model in settings.enabled_models:
        wanted = _predictor(inference_services[model.name])["nodeSelector"].items()
        reached = [pool.name for pool in settings.pools if wanted <= pool.node_labels.items()]
        assert reached == [settings.pool_of(model).name]


def test_a_model_tolerates_the_taint_of_its_pool_and_nothing_else(
    inference_services: dict[str, Object], settings: Settings
) -> None:
    for model in settings.enabled_models:
        tolerations = _predictor(inference_services[model.name])["tolerations"]
        taints = [{"operator": "Equal", **taint} for taint in settings.pool_of(model).node_taints]
        assert tolerations == taints


def test_a_model_asks_for_as_many_gpus_as_it_is_split_over(
    inference_services: dict[str, Object], settings: Settings
) -> None:
    for model in settings.enabled_models:
        resources = _predictor(inference_services[model.name])["containers"][0]["resources"]
        assert (
            resources["limits"]["nvidia.com/gpu"]
            == resources["requests"]["nvidia.com/gpu"]
            == str(model.gpus)
        )


def test_images_are_pinned_by_digest(
    inference_services: dict[str, Object], settings: Settings, each_stack: str
) -> None:
    images = [_predictor(service)["containers"][0]["image"] for service in inference_services.values()]
    assert images
    if settings.environment == "dev":
        pytest.skip(f"stack {each_stack} is of the environment dev, where a tag is enough")
    assert [image for image in images if "@sha256:" not in image] == []


def test_pods_keep_the_restricted_level(inference_services: dict[str, Object]) -> None:
    for service in inference_services.values():
        pod = _predictor(service)
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        sources = {key for volume in pod["volumes"] for key in volume} - {"name"}
        assert sources <= {"emptyDir", "persistentVolumeClaim"}


def test_no_volume_hides_the_weights(inference_services: dict[str, Object], settings: Settings) -> None:
    for model in settings.enabled_models:
        if model.weights.kind != "baked":
            continue
        mounts = _predictor(inference_services[model.name])["containers"][0]["volumeMounts"]
        weights = Path(model.weights.path)
        hiding = [m["mountPath"] for m in mounts if weights.is_relative_to(m["mountPath"])]
        assert hiding == []


def test_every_model_has_a_budget_and_exactly_one_owner_of_its_replicas(
    objects: list[Object], inference_services: dict[str, Object], settings: Settings
) -> None:
    def names(kind: str) -> set[str]:
        here = [o for o in objects if o["metadata"].get("namespace") == settings.namespace]
        return {o["metadata"]["name"] for o in here if o["kind"] == kind}

    def scaled_by(kind: str) -> set[str]:
        return {model.name for model in settings.enabled_models if model.autoscaling.kind == kind}

    scaled = scaled_by("hpa") | scaled_by("keda")
    assert names("PodDisruptionBudget") == names("ServiceAccount") == set(inference_services)
    assert names("HorizontalPodAutoscaler") == scaled_by("hpa")
    assert names("ScaledObject") == scaled_by("keda")
    for name, service in inference_services.items():
        owner = service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"]
        assert (owner, "minReplicas" in _predictor(service)) == (
            ("external", False) if name in scaled else ("none", True)
        )


def test_kserve_s_crd_knows_every_field(inference_services: dict[str, Object], root: Path) -> None:
    crds = root / ".tools/assets/kserve/config/crd/full/serving.kserve.io_inferenceservices.yaml"
    if not crds.is_file():
        pytest.skip("KServe's CRDs are not here: `make tools` fetches them")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    definition = yaml.load(crds.read_text(), Loader=loader)  # noqa: S506 - both are safe loaders
    (version,) = [v for v in definition["spec"]["versions"] if v["name"] == "v1beta1"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for service in inference_services.values():
        assert list(_unknown_fields(service["spec"], schema, "spec")) == []


def _unknown_fields(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict):
        properties = schema.get("properties")
        for key, item in cast("Object", value).items():
            inner = properties.get(key) if properties is not None else schema.get("additionalProperties")
            if inner is None:
                yield f"{path}.{key}"
            else:
                yield from _unknown_fields(item, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _unknown_fields(item, schema["items"], f"{path}[{index}]")


def test_rendering_again_gives_the_same_bytes(rendered: RenderSummary, root: Path, tmp_path: Path) -> None:
    """In a new process with another hash seed, and with a shell that points at a cluster."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4711",
        "PYTHONPATH": str(root),
        "KUBECONFIG": "/nowhere",
        "PULUMI_K8S_DELETE_UNREACHABLE": "true",
    }
    code = "import sys; from pathlib import Path; from ops.render import render; render(sys.argv[1], *map(Path, sys.argv[2:]))"
    subprocess.run(
        [sys.executable, "-c", code, rendered.stack, str(root), str(tmp_path)],
        check=True,
        env=environment,
        cwd=root,
    )
    assert _bytes(tmp_path) == _bytes(rendered.out)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
