"""What `vp cost` counts is what the program asks AWS for."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from ops.program_graph import ProgramGraph
from settings import EksCluster, Settings
from settings.cost_lines import Line
from settings.estimate import estimate
from settings.scalars import mebibytes
from settings.volumes import kept_volumes

pytestmark = pytest.mark.graph

# Where the values of a chart say how large a volume is, below the release of this name.
SIZES = {"storage", "size"}


@pytest.fixture
def lines(settings: Settings) -> dict[str, Line]:
    if not isinstance(settings.cluster, EksCluster):
        pytest.skip("the cluster of this stack is not on EKS")
    return {f"{line.group}: {line.name}": line for line in estimate(settings).lines}


def test_services_are_counted_as_the_program_makes_them(graph: ProgramGraph, lines: dict[str, Line]) -> None:
    def made(kind: str) -> list[Mapping[str, Any]]:
        return [node["inputs"] for node in graph.resources if node["type"] == f"aws:{kind}"]

    interfaces = [one for one in made("ec2/vpcEndpoint:VpcEndpoint") if one["vpcEndpointType"] == "Interface"]
    firewalls = made("wafv2/webAcl:WebAcl")
    counted = {
        "control plane: EKS": len(made("eks/cluster:Cluster")),
        "network: NAT gateways": len(made("ec2/natGateway:NatGateway")),
        "network: public addresses of NAT": len(made("ec2/eip:Eip")),
        f"network: {len(interfaces)} interface endpoints": sum(len(one["subnetIds"]) for one in interfaces),
        "keys and secrets: keys": len(made("kms/key:Key")),
        "load balancer: internal load balancer": len(made("lb/loadBalancer:LoadBalancer")),
        "edge: firewall": len(firewalls),
        "edge: firewall rules": sum(len(one["rules"]) for one in firewalls),
    }
    assert {name: lines[name].quantity.low if name in lines else 0 for name in counted} == counted


def test_disks_are_as_large_as_nodes_get_them(graph: ProgramGraph, lines: dict[str, Line]) -> None:
    templates = {
        node["name"].removeprefix("pool-").removesuffix("-launch-template"): [
            device["ebs"]["volumeSize"] for device in node["inputs"]["blockDeviceMappings"]
        ]
        for node in graph.resources
        if node["type"] == "aws:ec2/launchTemplate:LaunchTemplate"
    }
    classes = {
        node["inputs"]["metadata"]["name"]: [
            mebibytes(device["ebs"]["volumeSize"]) // 1024
            for device in node["inputs"]["spec"]["blockDeviceMappings"]
        ]
        for node in graph.resources
        if node["type"].endswith(":EC2NodeClass")
    }
    made = {pool: sum(sizes) for pool, sizes in {**templates, **classes}.items()}
    assert made
    for pool, gib in made.items():
        assert f"disks: {pool}, {gib} GiB a node" in lines or not any(
            line.group == "nodes" and line.name.startswith(f"{pool},") for line in lines.values()
        )


@pytest.mark.usefixtures("lines")
def test_volumes_of_add_ons_are_as_large_as_their_charts_are_told(
    graph: ProgramGraph, settings: Settings
) -> None:
    told = {
        node["inputs"]["name"]: sorted(_sizes(node["inputs"]["values"]))
        for node in graph.resources
        if node["type"] == "kubernetes:helm.sh/v3:Release"
    }
    kept = sorted(volume.size for volume in kept_volumes(settings) if not volume.name.startswith("database"))
    assert kept
    assert sorted(size for sizes in told.values() for size in sizes) == kept


def _sizes(values: object, key: str = "") -> list[str]:
    """Every size of a volume in the values of a chart."""
    if isinstance(values, Mapping):
        found = cast("Mapping[str, Any]", values)
        return [size for name, value in found.items() for size in _sizes(value, name)]
    return [values] if key in SIZES and isinstance(values, str) and values.endswith("i") else []
