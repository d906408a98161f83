"""Real charts, installed by the real engine and provider from folders: releases deployed, nothing changes the second time, nothing stays.

Simulated pods answer no webhook, so of the kinds whose webhook a chart brings (cert-manager's, External Secrets') no object is
made here. KServe's chart makes two of cert-manager's: it comes to a cluster that has cert-manager's kinds and no webhook.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from rehearsal.cluster import kserve as rehearsed_kserve
from rehearsal.cluster.api import Api
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


def _round_trip(bare: Bare, api: Api, name: str, addons: dict[str, str], releases: set[str]) -> Snapshot:
    """Install, look, install again, take down. Return what was added to the cluster and stayed."""
    before = snapshot(api)
    stack = bare.stack(name, bare.config(addons=addons))
    first = stack.up()
    assert set(first) == {"create"}
    assert deployed_releases(api) == releases
    assert _tolerating_workloads(api) == []
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
    before = {o["metadata"]["name"] for o in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition")}
    assert before
    stack = bare.stack("platform", bare.config(addons=PLATFORM))
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
def beside_cert_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """A bare cluster that knows cert-manager's kinds: as if somebody else had installed it."""
    with bare_cluster(tmp_path_factory.mktemp("kserve")) as cluster:
        with cluster.api() as api:
            define(api, tools(), ["cert-manager"])
        yield cluster


def test_kserve_is_installed_left_alone_and_taken_down(beside_cert_manager: Bare) -> None:
    addons = {"kserve": "managed", "cert_manager": "existing"}
    with beside_cert_manager.api() as api:
        left = _round_trip(beside_cert_manager, api, "kserve", addons, {"kserve-definitions", "kserve"})
        assert ("CustomResourceDefinition", "inferenceservices.serving.kserve.io") in left.objects
        assert {each for each in left.objects if each[0] != "CustomResourceDefinition"} == set()


def test_kserve_s_chart_configures_what_the_rehearsal_s_controller_is_configured_with(
    beside_cert_manager: Bare,
) -> None:
    """The rehearsal runs KServe without its chart; both must serve models in the same way."""
    addons = {"kserve": "managed", "cert_manager": "existing"}
    stack = beside_cert_manager.stack("kserve", beside_cert_manager.config(addons=addons))
    stack.up()
    with beside_cert_manager.api() as api:
        installed = api.get("v1", "ConfigMap", rehearsed_kserve.CONFIG_MAP, "kserve")
    stack.destroy()
    assert installed is not None
    rehearsed = rehearsed_kserve.config_map(tools().assets("kserve"))
    assert rehearsed_kserve.decided(installed) == rehearsed_kserve.decided(rehearsed)
