"""cert-manager: its kinds stay, its webhook answers before anybody needs it, and no drain waits for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.cert_manager import CertManager, CertManagerArgs, cert_manager_values
from components.charts import CERT_MANAGER
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
FOLDER: Final = "cert-manager"
PARTS: Final = ("controller", "webhook", "cainjector")
# Shown in comments of values.yaml only; the templates read them.
COMMENTED: Final = (
    "fullnameOverride",
    "podDisruptionBudget.maxUnavailable",
    "webhook.podDisruptionBudget.maxUnavailable",
    "cainjector.podDisruptionBudget.maxUnavailable",
)


@pytest.fixture
def values() -> dict[str, Any]:
    return cert_manager_values(replicas=2, monitored=True)


def _part(values: dict[str, Any], part: str) -> dict[str, Any]:
    """The controller's values lie at the top."""
    return values if part == "controller" else values[part]


def test_every_value_is_one_that_the_chart_reads(root: Path, values: dict[str, Any]) -> None:
    assert unknown_keys(values, published_values(root, FOLDER), COMMENTED) == []


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_chart_s_schema_takes_them(root: Path, replicas: int) -> None:
    assert schema_errors(root, FOLDER, cert_manager_values(replicas=replicas, monitored=False)) == []


def test_the_kinds_come_with_the_chart_and_stay_without_it(values: dict[str, Any]) -> None:
    assert values["crds"] == {"enabled": True, "keep": True}


def test_the_installation_waits_for_the_webhook(root: Path, values: dict[str, Any]) -> None:
    """By the chart's hook. It is no hook any more if somebody takes its annotations away."""
    check = merged(values, published_values(root, FOLDER))["startupapicheck"]
    assert check["enabled"] is True
    assert check["jobAnnotations"]["helm.sh/hook"] == "post-install"


@pytest.mark.parametrize("part", PARTS)
def test_two_of_each_part_lie_in_two_zones(values: dict[str, Any], part: str) -> None:
    own = _part(values, part)
    (spread,) = own["topologySpreadConstraints"]
    assert (own["replicaCount"], spread["whenUnsatisfiable"]) == (2, "ScheduleAnyway")
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == part


@pytest.mark.parametrize("part", PARTS)
def test_a_drain_goes_on_whatever_the_number(part: str) -> None:
    budgets = [_part(cert_manager_values(replicas=n, monitored=False), part) for n in (1, 2)]
    assert [b["podDisruptionBudget"] for b in budgets] == [
        {"enabled": False},
        {"enabled": True, "maxUnavailable": 1},
    ]


@pytest.mark.parametrize("part", PARTS)
def test_memory_is_limited_and_cpu_is_not(values: dict[str, Any], part: str) -> None:
    resources = _part(values, part)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    prometheus = cert_manager_values(replicas=1, monitored=monitored)["prometheus"]
    assert prometheus["servicemonitor"]["enabled"] is monitored
    # The chart refuses both at once.
    assert prometheus["podmonitor"]["enabled"] is False


def test_it_stays_off_gpu_nodes(root: Path, values: dict[str, Any]) -> None:
    assert tolerating(merged(values, published_values(root, FOLDER))) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = CertManagerArgs(
            charts=PublishedCharts(kind="published"), namespace="cert-manager", after=[before]
        )
        CertManager("cert-manager", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("cert-manager", CERT_MANAGER.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
