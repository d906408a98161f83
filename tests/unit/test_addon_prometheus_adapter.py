"""Prometheus Adapter: one metric, and no API that belongs to somebody else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.dcgm_exporter import dcgm_values
from components.addons.prometheus import PROMETHEUS_URL
from components.addons.prometheus_adapter import (
    PrometheusAdapter,
    PrometheusAdapterArgs,
    prometheus_adapter_values,
)
from components.charts import PROMETHEUS_ADAPTER
from components.scaling import GPU_UTILIZATION_METRIC
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
CHART = "prometheus-adapter"


@pytest.fixture
def values() -> Values:
    return prometheus_adapter_values(replicas=2, prometheus=PROMETHEUS_URL)


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, CHART))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: Values) -> None:
    assert unknown_keys(values, published_values(root, CHART)) == []


def test_it_registers_one_api_alone(seen: Values) -> None:
    """A rule of `external` would take external.metrics.k8s.io from KEDA, one of `resource` metrics.k8s.io."""
    assert seen["rules"]["external"] == []
    assert not seen["rules"].get("resource")


def test_it_hands_on_the_metric_that_our_autoscalers_name_and_nothing_else(seen: Values) -> None:
    assert seen["rules"]["default"] is False
    (rule,) = seen["rules"]["custom"]
    assert rule["seriesQuery"].partition("{")[0] == GPU_UTILIZATION_METRIC
    assert rule["name"] == {"matches": "^(.*)$", "as": "$1"}


def test_the_pod_of_the_metric_is_the_one_that_uses_the_gpu(seen: Values) -> None:
    (rule,) = seen["rules"]["custom"]
    assert rule["resources"]["overrides"] == {
        "namespace": {"resource": "namespace"},
        "pod": {"resource": "pod"},
    }
    # Without this it would be the exporter's pod, and the user's would be called `exported_pod`.
    assert dcgm_values(pools=(), monitored=True)["serviceMonitor"]["honorLabels"] is True


def test_it_asks_our_prometheus(seen: Values) -> None:
    prometheus = seen["prometheus"]
    assert f"{prometheus['url']}:{prometheus['port']}{prometheus['path']}" == PROMETHEUS_URL


@pytest.mark.parametrize("url", ["https://metrics.internal/prometheus", "http://prometheus:9090"])
def test_it_asks_another_one_where_that_exists(url: str) -> None:
    asked = prometheus_adapter_values(replicas=1, prometheus=url)["prometheus"]
    port = f":{asked['port']}" if asked["port"] else ""
    # As the chart's template writes it: a port of 0 is left out.
    assert f"{asked['url']}{port}{asked['path']}" == url


@pytest.mark.parametrize(("replicas", "several"), [(1, False), (2, True)])
def test_a_drain_goes_on_whatever_the_number(replicas: int, several: bool) -> None:  # noqa: FBT001
    values = prometheus_adapter_values(replicas=replicas, prometheus=PROMETHEUS_URL)
    assert values["replicas"] == replicas
    assert values["podDisruptionBudget"] == {"enabled": several, "maxUnavailable": 1}
    assert len(values["topologySpreadConstraints"]) == int(several)


def test_it_has_a_limit_of_memory_and_none_of_cpu(seen: Values) -> None:
    assert sorted(seen["resources"]["limits"]) == ["memory"]


def test_it_stays_off_gpu_nodes(seen: Values) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = PrometheusAdapterArgs(
            charts=PublishedCharts(kind="published"),
            namespace="monitoring",
            after=[before],
            prometheus=PROMETHEUS_URL,
        )
        PrometheusAdapter("prometheus-adapter", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == (CHART, PROMETHEUS_ADAPTER.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
