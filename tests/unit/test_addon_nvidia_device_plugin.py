"""The device plugin: on the nodes that have none, all of them, and on no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.nvidia_device_plugin import (
    ACCOUNT_ENDING,
    NvidiaDevicePlugin,
    NvidiaDevicePluginArgs,
    device_plugin_values,
    tolerations_of,
)
from components.charts import NVIDIA_DEVICE_PLUGIN
from components.node_agents import CLUSTER_NAMESPACE, DEVICE_PLUGIN
from ops.recorder import Recorder
from settings import load_stack_file
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.charts import PublishedCharts
from settings.pools import GpuPool
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
CHART: Final = "nvidia-device-plugin"


@pytest.fixture(scope="module")
def pools(root: Path) -> tuple[GpuPool, ...]:
    return load_stack_file(root / "Pulumi.prod.yaml").gpu_pools


@pytest.fixture
def values(pools: tuple[GpuPool, ...]) -> Values:
    return device_plugin_values(pools=pools)


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, CHART))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: Values) -> None:
    assert unknown_keys(values, published_values(root, CHART)) == []


def test_it_lands_on_its_pools_and_on_no_other_node(seen: Values, pools: tuple[GpuPool, ...]) -> None:
    """Terms are alternatives: one of the chart's own, left in, would let it onto every node with a GPU."""
    (term,) = seen["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    (expression,) = term["matchExpressions"]
    assert expression["operator"] == "In"
    for pool in pools:
        assert pool.node_labels[expression["key"]] in expression["values"]
    assert len(expression["values"]) == len(pools)


def test_the_taints_of_its_pools_let_it_in_each_once(seen: Values, pools: tuple[GpuPool, ...]) -> None:
    assert tolerating(seen) == ["tolerations"]
    assert seen["tolerations"] == pools[0].tolerations
    assert tolerations_of(()) == []


def test_a_gpu_is_one_gpu(seen: Values) -> None:
    """Sharing in time shares no memory out."""
    assert (seen["config"]["name"], seen["config"]["map"]) == ("", {})


def test_it_brings_no_discovery_of_features(seen: Values) -> None:
    assert seen["gfd"]["enabled"] is False
    assert "enabled" not in seen["nfd"]


def test_it_runs_where_daemonsets_are_admitted_under_the_account_that_the_chart_makes(
    values: Values,
) -> None:
    assert ADDON_NAMESPACES["nvidia-device-plugin"] == DEVICE_PLUGIN.namespace == CLUSTER_NAMESPACE
    account = DEVICE_PLUGIN.service_account
    assert account.removesuffix(ACCOUNT_ENDING) == values["fullnameOverride"]


def test_it_comes_before_models_and_has_a_limit_of_memory(seen: Values) -> None:
    assert seen["priorityClassName"] == "system-node-critical"
    assert sorted(seen["resources"]["limits"]) == ["memory"]


def test_the_release_is_pinned_and_waits_for_what_comes_before(
    deploy: Deploy, pools: tuple[GpuPool, ...]
) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = NvidiaDevicePluginArgs(
            charts=PublishedCharts(kind="published"), namespace="kube-system", after=[before], pools=pools
        )
        NvidiaDevicePlugin("nvidia-device-plugin", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == (CHART, NVIDIA_DEVICE_PLUGIN.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
