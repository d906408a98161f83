"""What the program asks of EKS and of the network, as calls of the API: every word is one that AWS knows.

AWS itself is not asked. botocore's models are AWS's own description of what it takes, and moto keeps what a real
account would keep. What neither knows: limits of an account, and whether a combination of valid words works.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

import pulumi
import pytest
from botocore.exceptions import ClientError  # pyright: ignore[reportMissingTypeStubs] - it has none
from pulumi_aws import Provider

from components.aws.control_plane import ControlPlane
from components.aws.eks_addons import NetworkAddons, WorkloadAddons
from components.aws.network import ClusterNetwork
from components.aws.workload_role import WorkloadRole
from ops.recorder import UNKNOWN, Recorder, Registration
from settings import Settings, load_stack_file
from tests.aws.mechanical import faults, filled, operation, request
from tests.conftest import ROOT
from tests.contract import identity_factories, network_factories

pytestmark = pytest.mark.contract

Deploy = Callable[[Callable[[], object]], Recorder]
ACCOUNT: Final = "123456789012"
# What only AWS can tell, by the input's name.
STAND_INS: Final = {
    "allocationId": "eipalloc-0123456789abcdef0",
    "clusterName": "llm-prod",
    "gatewayId": "igw-0123456789abcdef0",
    "iamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/flow-logs",
    "logDestination": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/vpc/llm-prod/flow-logs",
    "natGatewayId": "nat-0123456789abcdef0",
    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/control-plane",
    "routeTableId": "rtb-0123456789abcdef0",
    "routeTableIds": "rtb-0123456789abcdef0",
    "securityGroupIds": "sg-0123456789abcdef0",
    "subnetId": "subnet-0123456789abcdef0",
    "subnetIds": "subnet-0123456789abcdef0",
    "vpcId": "vpc-0123456789abcdef0",
}
OPERATIONS: Final = {
    "aws:ec2/eip:Eip": ("ec2", "AllocateAddress"),
    "aws:ec2/internetGateway:InternetGateway": ("ec2", "CreateInternetGateway"),
    "aws:ec2/flowLog:FlowLog": ("ec2", "CreateFlowLogs"),
    "aws:ec2/natGateway:NatGateway": ("ec2", "CreateNatGateway"),
    "aws:ec2/route:Route": ("ec2", "CreateRoute"),
    "aws:ec2/routeTable:RouteTable": ("ec2", "CreateRouteTable"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("ec2", "AssociateRouteTable"),
    "aws:ec2/subnet:Subnet": ("ec2", "CreateSubnet"),
    "aws:ec2/vpc:Vpc": ("ec2", "CreateVpc"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("ec2", "CreateVpcEndpoint"),
    "aws:eks/accessEntry:AccessEntry": ("eks", "CreateAccessEntry"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": ("eks", "AssociateAccessPolicy"),
    "aws:eks/addon:Addon": ("eks", "CreateAddon"),
    "aws:eks/cluster:Cluster": ("eks", "CreateCluster"),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("eks", "CreatePodIdentityAssociation"),
}


@pytest.fixture
def prod() -> Settings:
    """The stack that has everything."""
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


@pytest.fixture
def recorder(deploy: Deploy, prod: Settings) -> Recorder:
    """Network, control plane, add-ons and a workload's role of that stack."""
    args: dict[Any, Any] = {**network_factories.FACTORIES, **identity_factories.FACTORIES}

    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("aws", region="us-east-1")])
        network = ClusterNetwork("network", args[ClusterNetwork](prod), options)
        subnets = list(network.control_plane_subnets.values())
        plane = ControlPlane("cluster", replace(args[ControlPlane](prod), subnets=subnets), options)
        before = NetworkAddons(
            "before", replace(args[NetworkAddons](prod), cluster_name=plane.cluster_name), options
        )
        after = replace(args[WorkloadAddons](prod), nodes=[before.cluster_name])
        WorkloadAddons("after", after, options)
        WorkloadRole("reader", args[WorkloadRole](prod), options)

    return deploy(program)


def _parameters(registration: Registration) -> dict[str, Any]:
    service, name = OPERATIONS[registration.type]
    parameters = request(filled(registration.inputs, STAND_INS), operation(service, name))
    # The provider takes it from which of its inputs is there.
    return parameters | ({"ResourceType": "VPC"} if name == "CreateFlowLogs" else {})


def test_every_request_is_of_the_api_s_shape_and_words(recorder: Recorder) -> None:
    wrong: dict[str, list[str]] = {}
    for type_, (service, name) in OPERATIONS.items():
        found = recorder.of_type(type_)
        assert found, type_
        for registration in found:
            wrong[registration.urn] = faults(_parameters(registration), operation(service, name))
    assert {urn: lines for urn, lines in wrong.items() if lines} == {}


def test_the_check_sees_a_wrong_word_a_wrong_type_and_a_key_too_many(recorder: Recorder) -> None:
    shape = operation("eks", "CreateCluster")
    good = _parameters(recorder.one("aws:eks/cluster:Cluster"))
    wrong = {
        "word": good | {"upgradePolicy": {"supportType": "FOREVER"}},
        "type": good | {"deletionProtection": "yes"},
        "key": good | {"deleteProtection": True},
        "pattern": good | {"name": "-llm"},
        "size": good | {"name": "a" * 101},
    }
    assert {case: len(faults(parameters, shape)) for case, parameters in wrong.items()} == dict.fromkeys(
        wrong, 1
    )
    with pytest.raises(LookupError, match="0 members for the input deleteProtection"):
        request({"deleteProtection": True}, shape)


def test_the_cluster_is_created_as_it_is_asked_for(
    recorder: Recorder, aws_client: Callable[[str], Any]
) -> None:
    eks = aws_client("eks")
    eks.create_cluster(**_parameters(recorder.one("aws:eks/cluster:Cluster")))
    made = eks.describe_cluster(name="llm-prod")["cluster"]
    assert made["version"] == "1.36"
    assert made["resourcesVpcConfig"]["endpointPrivateAccess"] is True
    assert made["resourcesVpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert made["encryptionConfig"][0]["resources"] == ["secrets"]
    (logging,) = made["logging"]["clusterLogging"]
    assert logging["enabled"] is True
    assert set(logging["types"]) == {"api", "audit", "authenticator", "controllerManager", "scheduler"}


@pytest.mark.parametrize(
    ("type_", "create"),
    [
        ("aws:eks/addon:Addon", "create_addon"),
        ("aws:eks/podIdentityAssociation:PodIdentityAssociation", "create_pod_identity_association"),
        ("aws:eks/accessEntry:AccessEntry", "create_access_entry"),
    ],
)
def test_what_a_cluster_has_is_created(
    recorder: Recorder, aws_client: Callable[[str], Any], type_: str, create: str
) -> None:
    """Skipped as long as moto has no such call; the first release that has it turns this on."""
    eks = aws_client("eks")
    eks.create_cluster(**_parameters(recorder.one("aws:eks/cluster:Cluster")))
    for registration in recorder.of_type(type_):
        parameters = _parameters(registration) | {"clusterName": "llm-prod"}
        try:
            getattr(eks, create)(**parameters)
        except ClientError as error:
            # An answer of the service itself would be JSON, also one of status 404.
            if "html" not in str(error):
                raise
            pytest.skip(f"moto {version('moto')} has no {create}")


def test_the_network_is_created(recorder: Recorder, aws_client: Callable[[str], Any]) -> None:
    """Blocks that overlap, or that lie outside of the VPC, would be refused."""
    ec2 = aws_client("ec2")
    vpc = ec2.create_vpc(**_parameters(recorder.one("aws:ec2/vpc:Vpc")))["Vpc"]["VpcId"]
    for subnet in recorder.of_type("aws:ec2/subnet:Subnet"):
        ec2.create_subnet(**(_parameters(subnet) | {"VpcId": vpc}))
    made = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    assert len(made) == 6
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in made)


def test_configurations_of_add_ons_are_written_in_one_order(recorder: Recorder) -> None:
    texts = [
        addon.inputs["configurationValues"]
        for addon in recorder.of_type("aws:eks/addon:Addon")
        if "configurationValues" in addon.inputs
    ]
    assert len(texts) == 3
    assert [json.dumps(json.loads(text), sort_keys=True) for text in texts] == texts
    assert UNKNOWN not in texts
