"""KServe: plain Deployments and nothing else, kinds that stay, and one runtime with a pinned engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.kserve import (
    RUNTIME,
    RUNTIMES_OFF,
    Kserve,
    KserveArgs,
    KserveDefinitions,
    KserveDefinitionsArgs,
    KserveRuntimes,
    KserveRuntimesArgs,
    controller_values,
    runtime_values,
)
from components.addons.pattern import KEEP_DEFINITIONS
from components.charts import KSERVE, KSERVE_CRD, KSERVE_RUNTIMES, VLLM_TAG
from ops.recorder import Recorder, Registration
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
RESOURCES: Final = "kserve-resources"
RUNTIMES: Final = "kserve-runtime-configs"
COMPONENTS: Final = {
    "kserve-definitions": (KserveDefinitions, KserveDefinitionsArgs, KSERVE_CRD),
    "kserve": (Kserve, KserveArgs, KSERVE),
    "kserve-runtimes": (KserveRuntimes, KserveRuntimesArgs, KSERVE_RUNTIMES),
}


@pytest.fixture
def controller(root: Path) -> dict[str, Any]:
    """What the templates of the controller see."""
    return merged(controller_values(), published_values(root, RESOURCES))["kserve"]["controller"]


@pytest.fixture
def runtimes(root: Path) -> dict[str, Any]:
    """The runtimes as the templates see them."""
    seen = merged(runtime_values(), published_values(root, RUNTIMES))["kserve"]["servingruntime"]
    return {name: each for name, each in seen.items() if isinstance(each, dict) and "disabled" in each}


def test_every_value_is_one_that_the_charts_read(root: Path) -> None:
    assert unknown_keys(controller_values(), published_values(root, RESOURCES)) == []
    assert unknown_keys(runtime_values(), published_values(root, RUNTIMES)) == []


class TestController:
    def test_models_are_plain_deployments(self, controller: dict[str, Any]) -> None:
        """The chart's own default is Knative, which is not here."""
        assert controller["deploymentMode"] == "Standard"

    def test_it_makes_no_route_of_its_own(self, controller: dict[str, Any]) -> None:
        gateway = controller["gateway"]
        assert (gateway["disableIngressCreation"], gateway["disableIstioVirtualHost"]) == (True, True)
        assert gateway["ingressGateway"]["enableGatewayApi"] is False

    def test_a_model_s_address_is_inside_the_cluster(self, controller: dict[str, Any]) -> None:
        assert controller["gateway"]["domain"] == "svc.cluster.local"

    def test_it_has_more_than_the_chart_gives_it(self, root: Path, controller: dict[str, Any]) -> None:
        published = published_values(root, RESOURCES)["kserve"]["controller"]["resources"]
        assert published["limits"] == {"cpu": "100m", "memory": "300Mi"}
        assert controller["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}

    def test_it_stays_off_gpu_nodes(self, controller: dict[str, Any]) -> None:
        assert tolerating(controller) == []


class TestRuntimes:
    def test_they_are_installed_at_all(self) -> None:
        """By the chart's default it installs nothing."""
        assert runtime_values()["kserve"]["servingruntime"]["enabled"] is True

    def test_every_runtime_of_the_chart_is_decided_here(self, runtimes: dict[str, Any]) -> None:
        """One that a new version brings would otherwise be on. That of several nodes goes with huggingfaceserver."""
        assert set(runtimes) == RUNTIMES_OFF | {RUNTIME, "huggingfaceserver_multinode"}

    def test_vllm_is_the_only_one(self, runtimes: dict[str, Any]) -> None:
        on = {name for name, each in runtimes.items() if not each["disabled"]}
        assert on - {"huggingfaceserver_multinode"} == {RUNTIME}

    def test_its_engine_is_a_release_and_not_the_latest(self, root: Path, runtimes: dict[str, Any]) -> None:
        published = published_values(root, RUNTIMES)["kserve"]["servingruntime"][RUNTIME]
        assert published["tag"] == "latest"
        assert runtimes[RUNTIME]["tag"] == VLLM_TAG == "v0.32.0"


def _release(deploy: Deploy, unit: str) -> tuple[Registration, str]:
    """Return the release of a unit, and what it was told to wait for."""
    component, arguments, _ = COMPONENTS[unit]

    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args: Any = arguments(charts=PublishedCharts(kind="published"), namespace="kserve", after=[before])
        component(unit, args, options)

    recorder = deploy(program)
    return recorder.one("kubernetes:helm.sh/v3:Release"), recorder.one("kubernetes:core/v1:Namespace").urn


@pytest.mark.parametrize("unit", COMPONENTS)
def test_a_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy, unit: str) -> None:
    release, before = _release(deploy, unit)
    chart = COMPONENTS[unit][2]
    assert release.inputs["name"] == unit
    assert (release.inputs["chart"], release.inputs["version"]) == (chart.reference, chart.version)
    assert before in release.dependencies


def test_the_kinds_stay_when_their_release_goes(deploy: Deploy) -> None:
    release, _ = _release(deploy, "kserve-definitions")
    assert release.inputs["postrender"] == KEEP_DEFINITIONS
