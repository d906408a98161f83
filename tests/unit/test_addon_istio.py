"""Istio: ambient everywhere, under the names that the admission rule knows, with agents on GPU nodes and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.istio import (
    IstioBase,
    IstioBaseArgs,
    IstioCni,
    IstioCniArgs,
    Istiod,
    IstiodArgs,
    Ztunnel,
    ZtunnelArgs,
    base_values,
    cni_values,
    istiod_values,
    ztunnel_values,
)
from components.charts import ISTIO_BASE, ISTIO_CNI, ISTIO_VERSION, ISTIOD, ZTUNNEL
from components.node_agents import MESH_NAMESPACE, MESH_NETWORK, MESH_PROXY
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import GPU_TAINT, merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
# Where the charts keep their defaults, because a profile has to come between those and a user's values.
DEFAULTS: Final = "_internal_defaults_do_not_set"
EXCEPTIONS: Final = (
    # templates/zzz_profile.yaml of each chart reads it.
    "profile",
    # Whatever lies below `resources` is rendered.
    "resources.limits",
    # templates/poddisruptionbudget.yaml reads it before `minAvailable`.
    "pdb.maxUnavailable",
)
VALUES: Final[dict[str, Values]] = {
    "istio-base": base_values(),
    "istiod": istiod_values(replicas=2),
    "istio-cni": cni_values(),
    "ztunnel": ztunnel_values(),
}
COMPONENTS: Final = {
    "istio-base": (IstioBase, IstioBaseArgs, ISTIO_BASE),
    "istiod": (Istiod, IstiodArgs, ISTIOD),
    "istio-cni": (IstioCni, IstioCniArgs, ISTIO_CNI),
    "ztunnel": (Ztunnel, ZtunnelArgs, ZTUNNEL),
}
AGENTS: Final = ("istio-cni", "ztunnel")


def _seen(root: Path, chart: str) -> Values:
    return merged(VALUES[chart], published_values(root, chart)[DEFAULTS])


@pytest.mark.parametrize("chart", VALUES)
def test_every_value_is_one_that_the_chart_reads(root: Path, chart: str) -> None:
    published = published_values(root, chart)[DEFAULTS]
    assert unknown_keys(VALUES[chart], published, EXCEPTIONS) == []


@pytest.mark.parametrize("chart", VALUES)
def test_all_are_of_the_ambient_profile_and_none_sets_the_defaults(chart: str) -> None:
    assert VALUES[chart]["profile"] == "ambient"
    assert DEFAULTS not in VALUES[chart]


@pytest.mark.parametrize("chart", AGENTS)
def test_an_agent_runs_on_gpu_nodes_too_by_the_chart_s_own_word(root: Path, chart: str) -> None:
    assert tolerating(_seen(root, chart)) == ["tolerations"]
    assert "tolerations" not in VALUES[chart]


@pytest.mark.parametrize("chart", sorted(set(VALUES) - set(AGENTS)))
def test_nothing_else_does(root: Path, chart: str) -> None:
    assert tolerating(_seen(root, chart)) == [], GPU_TAINT


def test_ztunnel_s_account_is_the_one_that_istiod_trusts_and_the_admission_rule_admits() -> None:
    """The chart names the account after the resource."""
    assert VALUES["ztunnel"]["resourceName"] == MESH_PROXY.service_account
    trusted = (VALUES["istiod"]["trustedZtunnelNamespace"], VALUES["istiod"]["trustedZtunnelName"])
    assert trusted == (MESH_PROXY.namespace, MESH_PROXY.service_account)


def test_the_network_agent_s_account_has_the_only_name_that_its_chart_gives() -> None:
    """templates/_helpers.tpl of the chart: `name` is a fixed text. The DaemonSet and the account are called so."""
    assert MESH_NETWORK.account == "istio-system/istio-cni"


def test_all_charts_look_for_each_other_in_one_namespace() -> None:
    assert VALUES["istio-base"]["global"]["istioNamespace"] == MESH_NAMESPACE
    assert VALUES["istiod"]["global"]["istioNamespace"] == MESH_NAMESPACE
    assert VALUES["ztunnel"]["istioNamespace"] == MESH_NAMESPACE


class TestIstiod:
    def test_two_share_the_work_in_two_zones(self) -> None:
        values = istiod_values(replicas=2)
        assert (values["autoscaleEnabled"], values["autoscaleMin"]) == (True, 2)
        assert values["pdb"]["maxUnavailable"] == 1
        (spread,) = values["topologySpreadConstraints"]
        assert spread["labelSelector"] == {"matchLabels": {"app": "istiod"}}

    def test_one_is_no_autoscaler_s(self) -> None:
        values = istiod_values(replicas=1)
        assert (values["autoscaleEnabled"], values["replicaCount"]) == (False, 1)
        assert values["topologySpreadConstraints"] == []

    def test_no_route_of_inference_pools_and_no_telemetry_of_envoys(self) -> None:
        values = istiod_values(replicas=1)
        # As text: the chart compares some variables with texts, and Kubernetes takes nothing else.
        assert values["env"] == {"ENABLE_GATEWAY_API_INFERENCE_EXTENSION": "false"}
        assert values["telemetry"] == {"enabled": False}


@pytest.mark.parametrize("chart", sorted(set(VALUES) - {"istio-base"}))
def test_memory_is_limited_and_cpu_is_not(chart: str) -> None:
    resources = VALUES[chart]["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


@pytest.mark.parametrize("unit", COMPONENTS)
def test_a_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy, unit: str) -> None:
    component, arguments, chart = COMPONENTS[unit]

    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args: Any = arguments(
            charts=PublishedCharts(kind="published"), namespace=MESH_NAMESPACE, after=[before]
        )
        component(unit, args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert release.inputs["name"] == unit
    assert (release.inputs["chart"], release.inputs["version"]) == (chart.reference, ISTIO_VERSION)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
