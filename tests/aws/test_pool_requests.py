"""What the program asks of AWS for nodes, as calls of the API: every word is one that AWS knows.

moto keeps what a real account would keep. What neither it nor botocore's models know: whether there is
capacity, whether the image exists, and how EKS merges its user data with ours.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import pulumi
import pytest
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.karpenter import Karpenter
from components.aws.managed_pool import ManagedPool
from ops.recorder import Recorder, Registration
from settings import Settings, load_stack_file
from settings.pools import (
    CapacityBlock,
    ClusterGroupPlacement,
    CpuPool,
    ManagedProvisioner,
    Pool,
    ReservedCapacity,
    SpotCapacity,
    SpreadPlacement,
)
from tests.aws.mechanical import faults, filled, operation, request
from tests.conftest import ROOT
from tests.contract.pool_factories import FACTORIES, SECURITY_GROUP, managed_args

pytestmark = pytest.mark.contract

Deploy = Callable[[Callable[[], object]], Recorder]
GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
PLACEMENT: Final = "aws:ec2/placementGroup:PlacementGroup"
ENTRY: Final = "aws:eks/accessEntry:AccessEntry"
RESERVATION: Final = "cr-0123456789abcdef0"
ZONE: Final = ("us-east-1a",)
CLUSTER: Final = "llm-prod"
# What only AWS can tell, by the input's name.
STAND_INS: Final = {"id": "lt-0123456789abcdef0", "version": "1", "groupName": "llm-prod-a100"}
OPERATIONS: Final = {
    GROUP: ("eks", "CreateNodegroup"),
    TEMPLATE: ("ec2", "CreateLaunchTemplate"),
    PLACEMENT: ("ec2", "CreatePlacementGroup"),
    ENTRY: ("eks", "CreateAccessEntry"),
}


def _shapes(settings: Settings) -> list[Pool]:
    """Managed pools of every shape."""
    gpu = next(pool for pool in settings.gpu_pools if pool.name == "a10")
    cpu = next(pool for pool in settings.pools if isinstance(pool, CpuPool))
    fixed = {"provisioner": ManagedProvisioner(kind="managed"), "min": 3, "max": 3}
    reserved = ReservedCapacity(kind="reserved", reservation=RESERVATION)
    block = CapacityBlock(kind="capacity-block", reservation=RESERVATION)
    together = ClusterGroupPlacement(kind="cluster-group")
    changes: dict[str, dict[str, Any]] = {
        "gpu": {},
        "none": {"min": 0, "max": 0},
        "spread": {"placement": SpreadPlacement(kind="spread")},
        "spot": {"capacity": SpotCapacity(kind="spot")},
        "reserved": {"capacity": reserved, "zones": ZONE},
        "block": {"capacity": block, "zones": ZONE, "instance_type": "p5.48xlarge"},
        "together": {"placement": together, "zones": ZONE, "instance_type": "p4d.24xlarge"},
        "rocket": {"node_image": "bottlerocket"},
        "old": {"instance_type": "p3.2xlarge"},
    }
    pools = [gpu.model_copy(update={**fixed, **change, "name": name}) for name, change in changes.items()]
    return [cpu, cpu.model_copy(update={"name": "cpu-rocket", "node_image": "bottlerocket"}), *pools]


@pytest.fixture
def prod() -> Settings:
    """The stack that has everything."""
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


@pytest.fixture
def recorder(deploy: Deploy, prod: Settings) -> Recorder:
    """Pools of every shape, and Karpenter."""
    args: dict[Any, Any] = FACTORIES

    def program() -> None:
        options = pulumi.ResourceOptions(
            providers=[AwsProvider("aws", region="us-east-1"), KubernetesProvider("k8s", kubeconfig="{}")]
        )
        for pool in _shapes(prod):
            ManagedPool(f"pool-{pool.name}", managed_args(prod, pool), options)
        Karpenter("karpenter", args[Karpenter](prod), options)

    return deploy(program)


def _parameters(registration: Registration) -> dict[str, Any]:
    service, name = OPERATIONS[registration.type]
    inputs = filled(registration.inputs, STAND_INS)
    if registration.type == GROUP:
        # The provider makes the rest of the name.
        inputs["nodegroupName"] = inputs.pop("nodeGroupNamePrefix") + registration.name
    if registration.type == PLACEMENT:
        inputs["groupName"] = inputs.pop("name")
    return request(inputs, operation(service, name))


def _of_pool(recorder: Recorder, type_: str, name: str) -> Registration:
    (found,) = [r for r in recorder.of_type(type_) if r.name.startswith(f"pool-{name}-")]
    return found


def test_every_request_is_of_the_api_s_shape_and_words(recorder: Recorder) -> None:
    wrong: dict[str, list[str]] = {}
    for type_, (service, name) in OPERATIONS.items():
        found = recorder.of_type(type_)
        assert found, type_
        for registration in found:
            wrong[registration.urn] = faults(_parameters(registration), operation(service, name))
    assert {urn: lines for urn, lines in wrong.items() if lines} == {}


def test_the_check_sees_words_that_kubernetes_would_take_and_eks_does_not(recorder: Recorder) -> None:
    shape = operation("eks", "CreateNodegroup")
    good = _parameters(_of_pool(recorder, GROUP, "gpu"))
    wrong = {
        "taint": good | {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]},
        "capacity": good | {"capacityType": "spot"},
        "image": good | {"amiType": "AL2023_NVIDIA"},
        "sizes": good | {"scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 0}},
    }
    assert {case: len(faults(params, shape)) for case, params in wrong.items()} == dict.fromkeys(wrong, 1)


def test_launch_templates_are_created_as_they_are_asked_for(
    recorder: Recorder, aws_client: Callable[[str], Any]
) -> None:
    ec2 = aws_client("ec2")
    for registration in recorder.of_type(TEMPLATE):
        wanted = _parameters(registration)
        ec2.create_launch_template(**wanted)
        (kept,) = ec2.describe_launch_template_versions(LaunchTemplateName=wanted["LaunchTemplateName"])[
            "LaunchTemplateVersions"
        ]
        data, asked = kept["LaunchTemplateData"], wanted["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        for mapping in asked["BlockDeviceMappings"]:
            assert mapping["Ebs"]["Encrypted"] is True
        assert len(data["BlockDeviceMappings"]) == len(asked["BlockDeviceMappings"])
        assert data.get("UserData") == asked.get("UserData")


def test_where_capacity_comes_from_is_in_the_request(recorder: Recorder) -> None:
    def data(name: str) -> dict[str, Any]:
        return _parameters(_of_pool(recorder, TEMPLATE, name))["LaunchTemplateData"]

    target = {"CapacityReservationTarget": {"CapacityReservationId": RESERVATION}}
    assert data("reserved")["CapacityReservationSpecification"] == target
    block = data("block")
    assert block["CapacityReservationSpecification"] == target
    assert block["InstanceMarketOptions"] == {"MarketType": "capacity-block"}
    assert block["InstanceType"] == "p5.48xlarge"
    together = data("together")
    assert together["Placement"] == {"GroupName": "llm-prod-together"}
    assert [i["Groups"] for i in together["NetworkInterfaces"]] == [[SECURITY_GROUP]] * 4
    assert data("gpu")["SecurityGroupIds"] == [SECURITY_GROUP]


def test_node_groups_are_created_as_they_are_asked_for(
    recorder: Recorder, aws_client: Callable[[str], Any]
) -> None:
    eks = aws_client("eks")
    network = {"subnetIds": ["subnet-1", "subnet-2"]}
    role = "arn:aws:iam::123456789012:role/control-plane"
    eks.create_cluster(name=CLUSTER, roleArn=role, resourcesVpcConfig=network)
    for registration in recorder.of_type(GROUP):
        wanted = _parameters(registration)
        eks.create_nodegroup(**wanted)
        made = eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=wanted["nodegroupName"])["nodegroup"]
        for member in ("amiType", "capacityType", "labels", "taints", "scalingConfig", "subnets"):
            assert made[member] == wanted[member], json.dumps([registration.name, member])
    assert len(eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"]) == len(recorder.of_type(GROUP))
