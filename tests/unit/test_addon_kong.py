"""Kong: no database, no licence, nothing on ports of nodes, and answers that end before their proxy does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.kong import DRAIN_SECONDS, PREPARE_SECONDS, Kong, KongArgs, kong_values
from components.charts import KONG
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
# In comments of values.yaml only.
COMMENTED: Final = ("fullnameOverride", "podDisruptionBudget.maxUnavailable", "topologySpreadConstraints")


@pytest.fixture
def values() -> dict[str, Any]:
    return kong_values(replicas=2, monitored=True)


@pytest.fixture
def seen(root: Path, values: dict[str, Any]) -> dict[str, Any]:
    """What the chart's templates see."""
    return merged(values, published_values(root, "kong"))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: dict[str, Any]) -> None:
    assert unknown_keys(values, published_values(root, "kong"), COMMENTED) == []


def test_in_the_mesh_its_proxies_are_known_and_callers_from_outside_still_come_in() -> None:
    meshed = kong_values(replicas=1, monitored=False, meshed=True)
    assert meshed["podLabels"] == {"istio.io/dataplane-mode": "ambient"}
    assert meshed["podAnnotations"] == {"ambient.istio.io/bypass-inbound-capture": "true"}
    plain = kong_values(replicas=1, monitored=False)
    assert (plain["podLabels"], plain["podAnnotations"]) == ({}, {})


def test_it_has_no_database(seen: dict[str, Any]) -> None:
    assert (seen["env"]["database"], seen["postgresql"]["enabled"]) == ("off", False)


def test_the_image_is_of_the_last_line_without_a_licence(
    root: Path, values: dict[str, Any], seen: dict[str, Any]
) -> None:
    assert values["image"]["tag"] == published_values(root, "kong")["image"]["tag"] == "3.9"
    assert seen["image"]["repository"] == "kong"
    assert seen["enterprise"]["enabled"] is False


def test_no_service_listens_on_nodes_or_outside(seen: dict[str, Any]) -> None:
    parts = [cast("dict[str, Any]", part) for part in seen.values() if isinstance(part, dict)]
    shown = {part["type"] for part in parts if "type" in part and part.get("enabled", True)}
    assert shown == {"ClusterIP"}


def test_its_admin_api_has_no_service(seen: dict[str, Any]) -> None:
    assert seen["admin"]["enabled"] is False
    # Inside the pod; a controller elsewhere would need one.
    assert seen["ingressController"]["gatewayDiscovery"]["enabled"] is False


def test_routes_of_the_gateway_api_are_read(seen: dict[str, Any]) -> None:
    controller = seen["ingressController"]
    assert (controller["enabled"], controller["rbac"]["gatewayAPI"]["enabled"]) == (True, True)


def test_it_is_not_shown_every_secret_of_the_cluster(seen: dict[str, Any]) -> None:
    assert seen["ingressController"]["admissionWebhook"]["filterSecrets"] is True


def test_a_generation_of_the_longest_context_ends_before_its_proxy(values: dict[str, Any]) -> None:
    command = values["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["kong", "quit", f"--wait={PREPARE_SECONDS}", f"--timeout={DRAIN_SECONDS}"]
    assert DRAIN_SECONDS > 8192 / 30
    assert values["terminationGracePeriodSeconds"] > PREPARE_SECONDS + DRAIN_SECONDS


def test_a_budget_is_only_there_for_several(values: dict[str, Any]) -> None:
    """The chart refuses one for one replica."""
    assert values["podDisruptionBudget"]["maxUnavailable"] == 1
    assert kong_values(replicas=1, monitored=True)["podDisruptionBudget"] == {"enabled": False}


def test_two_lie_in_two_zones(values: dict[str, Any]) -> None:
    (spread,) = values["topologySpreadConstraints"]
    assert (values["replicaCount"], spread["topologyKey"]) == (2, "topology.kubernetes.io/zone")
    assert kong_values(replicas=1, monitored=True)["topologySpreadConstraints"] == []


def test_memory_is_limited_and_cpu_is_not(values: dict[str, Any]) -> None:
    for resources in (values["resources"], values["ingressController"]["resources"]):
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert set(resources["limits"]) == {"memory"}


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    monitor = kong_values(replicas=1, monitored=monitored)["serviceMonitor"]
    assert monitor == {"enabled": monitored, "trustCRDsExist": monitored}


def test_it_stays_off_gpu_nodes(seen: dict[str, Any]) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = KongArgs(charts=PublishedCharts(kind="published"), namespace="kong", after=[before])
        Kong("kong", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("kong", KONG.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
