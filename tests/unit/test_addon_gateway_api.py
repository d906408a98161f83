"""The kinds of the Gateway API: one installer, one channel, and no Helm release."""

from collections.abc import Callable
from typing import Final

import pulumi
import pytest
from pulumi_kubernetes import Provider

from components.addons.envoy_gateway import controller_values, definition_values
from components.addons.gateway_api import GatewayApi, GatewayApiArgs, gateway_api_values
from components.charts import GATEWAY_CRDS
from ops.recorder import Recorder
from settings.charts import PublishedCharts

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
RENDERED: Final = "kubernetes:helm.sh/v4:Chart"


def test_the_channel_is_the_stable_one() -> None:
    assert gateway_api_values()["crds"]["gatewayAPI"] == {"enabled": True, "channel": "standard"}


def test_both_halves_of_the_chart_are_switched_and_each_by_one_unit() -> None:
    """The chart has two switches; one that nobody sets would be decided by a new version of it."""
    halves = [gateway_api_values()["crds"], definition_values()["crds"]]
    switched = [{half: switch["enabled"] for half, switch in crds.items()} for crds in halves]
    assert switched == [
        {"gatewayAPI": True, "envoyGateway": False},
        {"gatewayAPI": False, "envoyGateway": True},
    ]


def test_nobody_else_brings_these_kinds() -> None:
    assert controller_values(name="envoy-gateway", replicas=1)["crds"] == {"enabled": False}


def test_they_are_objects_of_the_program_and_no_release(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        args = GatewayApiArgs(charts=PublishedCharts(kind="published"), namespace="gateway")
        GatewayApi("gateway-api", args, options)

    recorder = deploy(program)
    chart = recorder.one(RENDERED)
    assert (chart.inputs["chart"], chart.inputs["version"]) == (GATEWAY_CRDS.reference, GATEWAY_CRDS.version)
    assert recorder.of_type("kubernetes:helm.sh/v3:Release") == []
