"""metrics-server: both of its connections are checked.

Its values are not at hand: every key was read in the chart (3.13.0, tag metrics-server-helm-chart-3.13.0) and rendered with
it once. No test here compares them with the chart.
"""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.metrics_server import (
    CERTIFICATE_DAYS,
    MetricsServer,
    MetricsServerArgs,
    metrics_server_values,
)
from components.charts import METRICS_SERVER
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import tolerating

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]


@pytest.fixture
def values() -> dict[str, Any]:
    return metrics_server_values(replicas=2, monitored=True)


def test_the_api_server_checks_whom_it_asks_for_years(values: dict[str, Any]) -> None:
    assert values["apiService"]["insecureSkipTLSVerify"] is False
    # Else an upgrade would make a new certificate, which running pods do not have.
    assert values["tls"]["helm"] == {"lookup": True, "certDurationDays": CERTIFICATE_DAYS}
    assert values["tls"]["type"] == "helm"
    assert CERTIFICATE_DAYS >= 3650


def test_kubelets_are_checked_too(values: dict[str, Any]) -> None:
    assert not {"args", "defaultArgs"} & set(values)


@pytest.mark.parametrize(("replicas", "several"), [(1, False), (2, True)])
def test_a_drain_goes_on_whatever_the_number(replicas: int, several: bool) -> None:  # noqa: FBT001
    values = metrics_server_values(replicas=replicas, monitored=False)
    assert values["replicas"] == replicas
    assert values["podDisruptionBudget"] == {"enabled": several, "maxUnavailable": 1}
    assert len(values["topologySpreadConstraints"]) == int(several)


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    values = metrics_server_values(replicas=1, monitored=monitored)
    assert (values["metrics"], values["serviceMonitor"]) == ({"enabled": monitored}, {"enabled": monitored})


def test_it_has_a_limit_of_memory_and_stays_off_gpu_nodes(values: dict[str, Any]) -> None:
    assert sorted(values["resources"]["limits"]) == ["memory"]
    assert tolerating(values) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = MetricsServerArgs(
            charts=PublishedCharts(kind="published"), namespace="kube-system", after=[before]
        )
        MetricsServer("metrics-server", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("metrics-server", METRICS_SERVER.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
