"""DCGM exporter: on every GPU node, with the names of those who use the GPUs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.dcgm_exporter import DcgmExporter, DcgmExporterArgs, dcgm_values
from components.charts import DCGM_EXPORTER as CHART_PIN
from components.model_names import model_labels
from components.node_agents import DCGM_EXPORTER
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
CHART: Final = "dcgm-exporter"


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture
def values(settings: Settings) -> Values:
    return dcgm_values(pools=settings.gpu_pools, monitored=True)


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, CHART))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: Values) -> None:
    assert unknown_keys(values, published_values(root, CHART)) == []


def test_it_lands_on_every_gpu_node_and_on_no_other(seen: Values, settings: Settings) -> None:
    for pool in settings.pools:
        matches = seen["nodeSelector"].items() <= pool.node_labels.items()
        assert matches == (pool.kind == "gpu"), pool.name
    assert tolerating(seen) == ["tolerations"]


def test_a_metric_names_the_pod_that_uses_the_gpu(values: Values) -> None:
    assert values["serviceMonitor"]["honorLabels"] is True


def test_a_gpu_that_nobody_uses_is_not_the_exporter_s(values: Values) -> None:
    """Where a metric has no pod, Prometheus would put the one that it asked."""
    (dropped,) = [r for r in values["serviceMonitor"]["relabelings"] if r["action"] == "labeldrop"]
    for label in ("pod", "namespace", "container"):
        assert re.fullmatch(dropped["regex"], label)
    assert not re.fullmatch(dropped["regex"], "node")


def test_it_asks_gpus_as_often_as_it_is_asked(values: Values) -> None:
    (interval,) = [entry for entry in values["extraEnv"] if entry["name"] == "DCGM_EXPORTER_INTERVAL"]
    assert f"{int(interval['value']) // 1000}s" == values["serviceMonitor"]["interval"]


def test_labels_of_models_become_labels_of_metrics_and_no_others_do(
    values: Values, settings: Settings
) -> None:
    """Each value of each is a series for every metric of every GPU."""
    patterns = values["kubernetes"]["podLabelAllowlistRegex"]
    labels = {**model_labels(settings.models[0]), "serving.kserve.io/inferenceservice": "m"}
    kept = {label for label in labels if any(re.search(pattern, label) for pattern in patterns)}
    assert kept == {
        "app.kubernetes.io/version",
        "serving.kserve.io/inferenceservice",
        "vllm-platform.io/model",
        "vllm-platform.io/revision",
        "vllm-platform.io/track",
    }
    for other in ("pod-template-hash", "x-app.kubernetes.io/version", "appXkubernetes.io/version"):
        assert not any(re.search(pattern, other) for pattern in patterns)


def test_no_pattern_is_cut_in_two(values: Values) -> None:
    """The chart joins them with commas."""
    assert not any("," in pattern for pattern in values["kubernetes"]["podLabelAllowlistRegex"])


def test_it_has_the_account_that_the_admission_rule_knows(values: Values) -> None:
    assert ADDON_NAMESPACES["dcgm-exporter"] == DCGM_EXPORTER.namespace
    assert values["serviceAccount"] == {"create": True, "name": DCGM_EXPORTER.service_account}


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    assert dcgm_values(pools=(), monitored=monitored)["serviceMonitor"]["enabled"] is monitored


def test_it_has_more_memory_than_the_chart_gives(root: Path, values: Values) -> None:
    assert values["resources"]["limits"]["memory"] == "1Gi"
    assert published_values(root, CHART)["resources"]["limits"]["memory"] == "512Mi"


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy, settings: Settings) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = DcgmExporterArgs(
            charts=PublishedCharts(kind="published"),
            namespace="monitoring",
            after=[before],
            pools=settings.gpu_pools,
        )
        DcgmExporter("dcgm-exporter", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == (CHART, CHART_PIN.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
