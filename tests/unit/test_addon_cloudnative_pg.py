"""CloudNativePG: an operator that can be two, a plugin that can not, and kinds that both charts keep."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.cloudnative_pg import (
    CloudnativePg,
    CloudnativePgArgs,
    CloudnativePgBackups,
    CloudnativePgBackupsArgs,
    backup_values,
    operator_values,
)
from components.charts import BARMAN_CLOUD, CLOUDNATIVE_PG
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
FOLDER: Final = "cloudnative-pg"
COMPONENTS: Final = {
    "cloudnative-pg": (CloudnativePg, CloudnativePgArgs, CLOUDNATIVE_PG),
    "cloudnative-pg-backups": (CloudnativePgBackups, CloudnativePgBackupsArgs, BARMAN_CLOUD),
}


@pytest.fixture
def values() -> dict[str, Any]:
    return operator_values(replicas=2, monitored=True)


def test_every_value_is_one_that_the_chart_reads(root: Path, values: dict[str, Any]) -> None:
    assert unknown_keys(values, published_values(root, FOLDER)) == []


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_chart_s_schema_takes_them(root: Path, replicas: int) -> None:
    assert schema_errors(root, FOLDER, operator_values(replicas=replicas, monitored=False)) == []


def test_it_works_for_every_namespace(root: Path, values: dict[str, Any]) -> None:
    assert merged(values, published_values(root, FOLDER))["config"]["clusterWide"] is True


def test_both_charts_bring_their_kinds(values: dict[str, Any]) -> None:
    assert values["crds"] == backup_values()["crds"] == {"create": True}


def test_of_two_operators_each_is_in_a_zone(values: dict[str, Any]) -> None:
    (spread,) = values["topologySpreadConstraints"]
    assert values["replicaCount"] == 2
    assert spread["labelSelector"] == {"matchLabels": {"app.kubernetes.io/name": values["fullnameOverride"]}}
    assert operator_values(replicas=1, monitored=True)["topologySpreadConstraints"] == []


def test_the_plugin_runs_once() -> None:
    """Its chart replaces the old pod before it makes the new one, and says why in the template."""
    assert set(backup_values()) == {"crds", "resources"}


def test_memory_is_limited_and_cpu_is_not(values: dict[str, Any]) -> None:
    for each in (values, backup_values()):
        assert set(each["resources"]["requests"]) == {"cpu", "memory"}
        assert set(each["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    assert operator_values(replicas=1, monitored=monitored)["monitoring"] == {"podMonitorEnabled": monitored}


def test_it_stays_off_gpu_nodes(root: Path, values: dict[str, Any]) -> None:
    assert tolerating(merged(values, published_values(root, FOLDER))) == []


@pytest.mark.parametrize("unit", COMPONENTS)
def test_a_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy, unit: str) -> None:
    component, arguments, chart = COMPONENTS[unit]

    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args: Any = arguments(charts=PublishedCharts(kind="published"), namespace="cnpg", after=[before])
        component(unit, args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert release.inputs["name"] == unit
    assert (release.inputs["chart"], release.inputs["version"]) == (chart.reference, chart.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
