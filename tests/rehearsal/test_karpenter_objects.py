"""Karpenter's objects of each stack on a real API server: its own definitions, with their rules, take them."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.karpenter_pool import KarpenterPool
from ops.recorder import UNKNOWN, record
from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, ApiError, has_condition, resource_path, wait_until
from rehearsal.cluster.layout import ClusterLayout
from settings import Settings, load_stack_file
from settings.pools import (
    CapacityBlock,
    ClusterGroupPlacement,
    GpuPool,
    KarpenterProvisioner,
    Pool,
    ReservedCapacity,
)
from tests.contract.pool_factories import karpenter_args
from tests.rehearsal.conftest import REPOSITORY, tools

pytestmark = pytest.mark.rehearsal

Object = dict[str, Any]
CRD_API: Final = "apiextensions.k8s.io/v1"
PLURALS: Final = {"EC2NodeClass": "ec2nodeclasses", "NodePool": "nodepools"}
DEFINED_SECONDS: Final = 30.0
ZONE: Final = ("us-east-1a",)


def _declared(settings: Settings, pools: list[Pool]) -> list[Object]:
    """Return the Kubernetes objects of some pools, as the API server would get them."""

    def program() -> None:
        options = pulumi.ResourceOptions(
            providers=[KubernetesProvider("k8s", kubeconfig="{}"), AwsProvider("aws", region="us-east-1")]
        )
        for pool in pools:
            for core in (False, True):
                args = karpenter_args(settings, pool, core=core)
                KarpenterPool(f"pool-{pool.name}-{core}", args, options)

    recorder = record(program, project="test", stack="test")
    objects = [dict(r.inputs) for r in recorder.registrations if r.inputs.get("kind") in PLURALS]
    assert UNKNOWN not in json.dumps(objects)
    return objects


def _of_stack(stack: str) -> list[Object]:
    settings = load_stack_file(REPOSITORY / f"Pulumi.{stack}.yaml")
    elastic = [pool for pool in settings.pools if isinstance(pool.provisioner, KarpenterProvisioner)]
    assert elastic
    return _declared(settings, elastic)


def _unusual() -> list[Object]:
    """Pools of shapes that no stack of ours has."""
    settings = load_stack_file(REPOSITORY / "Pulumi.prod.yaml")
    (base,) = [pool for pool in settings.pools if isinstance(pool, GpuPool) and pool.name == "a100"]
    reservation = "cr-0123456789abcdef0"
    together: Mapping[str, Any] = {"placement": ClusterGroupPlacement(kind="cluster-group"), "zones": ZONE}
    shapes: list[Mapping[str, Any]] = [
        {"name": "none", "max": 0},
        {"name": "fixed", "min": 3, "max": 3},
        {"name": "together", **together},
        {"name": "many-cards", "instance_type": "p5.48xlarge", **together},
        {"name": "rocket", "node_image": "bottlerocket"},
        {"name": "odr", "capacity": ReservedCapacity(kind="reserved", reservation=reservation)},
        {"name": "block", "capacity": CapacityBlock(kind="capacity-block", reservation=reservation)},
        {"name": "n" * 30, "instance_type": "p3.2xlarge", "min": 2, "max": 4},
    ]
    return _declared(settings, [base.model_copy(update=shape) for shape in shapes])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A bare cluster that knows Karpenter's kinds."""
    layout = ClusterLayout(project_root=tmp_path_factory.mktemp("karpenter"), name="bare")
    try:
        lifecycle.up(layout, tools(), lambda _: None, with_kserve=False)
        with lifecycle.connect(layout) as connection:
            for path in sorted((tools().assets("karpenter") / "pkg/apis/crds").glob("karpenter.*.yaml")):
                _define(connection, path)
            yield connection
    finally:
        lifecycle.down(layout)


def _define(api: Api, path: Path) -> None:
    group, plural = path.stem.split("_")
    name = f"{plural}.{group}"
    api.apply_bytes(resource_path(CRD_API, "CustomResourceDefinition", None, name), path.read_bytes())

    def defined() -> bool:
        return has_condition(api.get(CRD_API, "CustomResourceDefinition", name) or {}, "Established")

    assert wait_until(defined, seconds=DEFINED_SECONDS)


def _apply(api: Api, document: Object) -> Object:
    """Apply the object as a trial: nothing is stored. A field that the definition does not know is an error."""
    address = f"/apis/{document['apiVersion']}/{PLURALS[document['kind']]}/{document['metadata']['name']}"
    return api._json(  # pyright: ignore[reportPrivateUsage]
        "PATCH",
        address,
        params={"fieldManager": "test", "force": "true", "fieldValidation": "Strict", "dryRun": "All"},
        content=json.dumps(document).encode(),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def _kept(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - JSON values
    """Tell whether all that was asked for is in the answer; defaults may be added."""
    if isinstance(wanted, Mapping):
        return all(key in found and _kept(value, found[key]) for key, value in wanted.items())  # pyright: ignore[reportUnknownVariableType]
    return wanted == found


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_objects_of_a_stack_are_taken_as_they_are(api: Api, stack: str) -> None:
    objects = _of_stack(stack)
    assert {each["kind"] for each in objects} == set(PLURALS)
    for each in objects:
        assert _kept(each["spec"], _apply(api, each)["spec"]), each["metadata"]["name"]


def test_pools_of_other_shapes_are_taken_too(api: Api) -> None:
    for each in _unusual():
        assert _kept(each["spec"], _apply(api, each)["spec"]), each["metadata"]["name"]


def test_the_definitions_add_nothing_that_the_program_left_open(api: Api) -> None:
    """A default that a new version changes would change nodes without a change of ours."""
    for each in _of_stack("prod"):
        spec = _apply(api, each)["spec"]
        assert set(spec) == set(each["spec"]), each["metadata"]["name"]
        for part in ("disruption", "metadataOptions"):
            assert set(spec.get(part, {})) == set(each["spec"].get(part, {}))
        if each["kind"] == "NodePool":
            assert set(spec["template"]["spec"]) == set(each["spec"]["template"]["spec"])


BROKEN: Final[Mapping[str, tuple[str, Mapping[str, Any], str]]] = {
    "static-with-cpu-limit": ("NodePool", {"limits": {"cpu": "8"}, "replicas": 2}, r"only 'limits.nodes'"),
    "misspelt": ("NodePool", {"replica": 2}, "field not declared in schema"),
    "own-label": (
        "NodePool",
        {"template": {"metadata": {"labels": {"karpenter.sh/nodepool": "x"}}}},
        "is restricted",
    ),
    "image-without-version": ("EC2NodeClass", {"amiSelectorTerms": [{"alias": "al2023"}]}, "family@version"),
    "reserved-tag": ("EC2NodeClass", {"tags": {"karpenter.sh/nodepool": "x"}}, "restricted tag"),
    "efa-without-address": (
        "EC2NodeClass",
        {"networkInterfaces": [{"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "efa-only"}]},
        "must include a primary interface",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_object_is_refused(api: Api, case: str) -> None:
    kind, change, message = BROKEN[case]
    good = next(each for each in _of_stack("prod") if each["kind"] == kind)
    _apply(api, good)
    broken = deepcopy(good)
    _merge(broken["spec"], change)
    with pytest.raises(ApiError, match=message):
        _apply(api, broken)


def _merge(target: Object, change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and key not in {"limits", "labels", "tags"}:
            _merge(target[key], value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            target[key] = value
