"""Real charts, installed by the real engine and provider from folders: releases deployed, nothing changes the second time, nothing stays.

Simulated pods answer no webhook, so of the kinds whose webhook a chart brings (cert-manager's, External Secrets') no object is
made here. KServe's chart makes two of cert-manager's: it comes to a cluster that has cert-manager's kinds and no webhook.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from rehearsal.cluster import kserve as rehearsed_kserve
from rehearsal.cluster.api import Api, Object
from rehearsal.definitions import define
from tests.charts import tolerating
from tests.rehearsal.bare import Bare, bare_cluster
from tests.rehearsal.conftest import tools
from tests.rehearsal.snapshots import Snapshot, deployed_releases, snapshot

pytestmark = pytest.mark.rehearsal

PLATFORM: Final = {
    "cert_manager": "managed",
    "gateway_api": "managed",
    "envoy_gateway": "managed",
    "external_secrets": "managed",
    "kserve": "off",
}
# The chart of these is not a release (components/addons/pattern.py, _define).
NO_RELEASES: Final = {"gateway-api", "envoy-gateway-definitions"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    with bare_cluster(tmp_path_factory.mktemp("bare")) as cluster:
        yield cluster


@pytest.fixture
def api(bare: Bare) -> Iterator[Api]:
    with bare.api() as connection:
        yield connection


def _tolerating_workloads(api: Api) -> list[str]:
    """Return the pods' templates that could land on GPU nodes."""
    found: list[dict[str, Any]] = []
    for kind in ("Deployment", "DaemonSet", "StatefulSet"):
        found += api.list("apps/v1", kind)
    found += api.list("batch/v1", "Job")
    assert found
    return [o["metadata"]["name"] for o in found if tolerating(o["spec"]["template"]["spec"])]


def _round_trip(
    bare: Bare,
    api: Api,
    name: str,
    addons: dict[str, str],
    releases: set[str],
    *,
    look: Callable[[], object] = lambda: None,
) -> Snapshot:
    """Install, look, install again, take down. Return what was added to the cluster and stayed."""
    before = snapshot(api)
    stack = bare.stack(name, bare.config(addons=addons))
    first = stack.up()
    assert set(first) == {"create"}
    assert deployed_releases(api) == releases
    assert _tolerating_workloads(api) == []
    look()
    again = stack.up()
    assert set(again) == {"same"}
    stack.destroy()
    return snapshot(api) - before


def test_add_ons_are_installed_left_alone_and_taken_down(bare: Bare, api: Api) -> None:
    left = _round_trip(bare, api, "platform", PLATFORM, {"cert-manager", "envoy-gateway", "external-secrets"})
    kinds = {name for kind, name in left.objects if kind == "CustomResourceDefinition"}
    # With a definition every object of its kind would go.
    assert {"certificates.cert-manager.io", "httproutes.gateway.networking.k8s.io"} < kinds
    assert {"envoyproxies.gateway.envoyproxy.io", "externalsecrets.external-secrets.io"} < kinds
    assert {each for each in left.objects if each[0] != "CustomResourceDefinition"} == set()


def test_definitions_that_stayed_are_taken_over_when_the_add_ons_come_back(bare: Bare, api: Api) -> None:
    """Both ways to bring them: as objects of the program, and by a release. Envoy Gateway's are of the first, and dear to render."""
    before = {o["metadata"]["name"] for o in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition")}
    assert {"httproutes.gateway.networking.k8s.io", "externalsecrets.external-secrets.io"} < before
    addons = {name: choice for name, choice in PLATFORM.items() if name != "envoy_gateway"}
    stack = bare.stack("platform", bare.config(addons=addons))
    assert set(stack.up()) == {"create"}
    stack.destroy()


def test_karpenter_is_installed_left_alone_and_taken_down(bare: Bare, api: Api) -> None:
    before = snapshot(api)
    config = {"charts": str(bare.charts), "kubeconfig": str(bare.layout.kubeconfig)}
    stack = bare.program("karpenter", Path(__file__).parent / "programs" / "karpenter.py", config)
    assert set(stack.up()) == {"create"}
    assert deployed_releases(api) == {"karpenter-definitions", "karpenter"}
    assert _tolerating_workloads(api) == []
    assert set(stack.up()) == {"same"}
    stack.destroy()
    assert (snapshot(api) - before).objects == {
        ("CustomResourceDefinition", name)
        for name in (
            "capacitybuffers.autoscaling.x-k8s.io",
            "ec2nodeclasses.karpenter.k8s.aws",
            "nodeclaims.karpenter.sh",
            "nodeoverlays.karpenter.sh",
            "nodepools.karpenter.sh",
        )
    }


@pytest.fixture(scope="module")
def beside_cert_manager(bare: Bare) -> Bare:
    """The cluster knows cert-manager's kinds, as if somebody else had installed it. Last of all: who installs it finds its own."""
    with bare.api() as api:
        define(api, tools(), ["cert-manager"])
    return bare


@dataclass(frozen=True, kw_only=True)
class Installed:
    """KServe's chart: the ConfigMap that it made, and what stayed when it was gone."""

    config: Object | None
    left: Snapshot


@pytest.fixture(scope="module")
def kserve(beside_cert_manager: Bare) -> Installed:
    addons = {"kserve": "managed", "cert_manager": "existing"}
    found: list[Object | None] = []
    with beside_cert_manager.api() as api:
        left = _round_trip(
            beside_cert_manager,
            api,
            "kserve",
            addons,
            {"kserve-definitions", "kserve"},
            look=lambda: found.append(api.get("v1", "ConfigMap", rehearsed_kserve.CONFIG_MAP, "kserve")),
        )
    return Installed(config=found[0], left=left)


def test_kserve_is_installed_left_alone_and_taken_down(kserve: Installed) -> None:
    assert ("CustomResourceDefinition", "inferenceservices.serving.kserve.io") in kserve.left.objects
    assert {each for each in kserve.left.objects if each[0] != "CustomResourceDefinition"} == set()


def test_kserve_s_chart_configures_what_the_rehearsal_s_controller_is_configured_with(
    kserve: Installed,
) -> None:
    """The rehearsal runs KServe without its chart; both must serve models in the same way."""
    assert kserve.config is not None
    rehearsed = rehearsed_kserve.config_map(tools().assets("kserve"))
    assert rehearsed_kserve.decided(kserve.config) == rehearsed_kserve.decided(rehearsed)
