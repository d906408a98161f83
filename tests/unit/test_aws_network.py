"""The network of a cluster: who has a way out, who has none, and who waits for it."""

import json
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest
from pulumi_aws import Provider
from pulumi_aws.ec2 import NetworkInterface

from components.aws.flow_logs import group_name, write_statement
from components.aws.network import ClusterNetwork, ClusterNetworkArgs
from components.aws.vpc_endpoints import interface_services
from ops.recorder import Recorder, Registration
from settings import EksCluster, load_stack_file
from settings.network import Network, SingleNat
from tests.conftest import ROOT
from tests.contract.network_factories import KEY
from tests.dependencies import before

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ROUTE = "aws:ec2/route:Route"
NAT = "aws:ec2/natGateway:NatGateway"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.fixture
def cluster() -> EksCluster:
    """The cluster of prod, in three zones."""
    prod = load_stack_file(ROOT / "Pulumi.prod.yaml").cluster
    return cast("EksCluster", prod).model_copy(update={"zones": ZONES})


def _record(
    deploy: Deploy, cluster: EksCluster, after: Callable[[ClusterNetwork], object] | None = None
) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("aws", region="us-east-1")])
        made = ClusterNetwork("net", ClusterNetworkArgs(cluster=cluster, flow_log_key=KEY), options)
        if after:
            after(made)

    return deploy(program)


def _single(cluster: EksCluster, *zones: str) -> EksCluster:
    network = cluster.network.model_copy(update={"nat": SingleNat(kind="single")})
    return cluster.model_copy(update={"network": network, "zones": zones or ZONES})


def _named(recorder: Recorder, type_: str) -> dict[str, Registration]:
    return {registration.name: registration for registration in recorder.of_type(type_)}


class TestSubnets:
    def test_each_zone_has_one_of_each_kind_and_none_gives_out_public_addresses(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        subnets = _named(_record(deploy, cluster), SUBNET)
        kinds = ("nodes", "public", "control-plane")
        assert set(subnets) == {f"net-{kind}-{zone}" for kind in kinds for zone in ZONES}
        assert all(subnet.inputs["mapPublicIpOnLaunch"] is False for subnet in subnets.values())
        assert all(subnet.inputs["availabilityZone"] in name for name, subnet in subnets.items())

    def test_load_balancers_are_put_among_the_nodes_and_never_in_public(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        subnets = _named(_record(deploy, cluster), SUBNET)
        tagged = {
            name
            for name, subnet in subnets.items()
            if any(tag.startswith("kubernetes.io/role/") for tag in subnet.inputs["tags"])
        }
        assert tagged == {f"net-nodes-{zone}" for zone in ZONES}
        assert subnets["net-nodes-us-east-1a"].inputs["tags"]["kubernetes.io/role/internal-elb"] == "1"

    def test_private_names_resolve(self, deploy: Deploy, cluster: EksCluster) -> None:
        vpc = _record(deploy, cluster).one(VPC).inputs
        assert (vpc["cidrBlock"], vpc["enableDnsHostnames"], vpc["enableDnsSupport"]) == (
            cluster.network.cidr,
            True,
            True,
        )

    def test_who_forgets_a_security_group_talks_to_nobody(self, deploy: Deploy, cluster: EksCluster) -> None:
        group = _record(deploy, cluster).one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
        assert (group["ingress"], group["egress"]) == ([], [])


class TestWayOut:
    def test_each_zone_s_nodes_leave_by_their_own_gateway(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = _record(deploy, cluster)
        gateways, routes = _named(recorder, NAT), _named(recorder, ROUTE)
        assert set(gateways) == {f"net-nat-{zone}" for zone in ZONES}
        for zone in ZONES:
            found = before(recorder, routes[f"net-nodes-{zone}-out"].urn)
            assert found & {gateway.urn for gateway in gateways.values()} == {gateways[f"net-nat-{zone}"].urn}

    def test_a_single_gateway_serves_all_zones_and_stands_in_the_first_that_is_named(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        recorder = _record(deploy, _single(cluster, "us-east-1b", "us-east-1a"))
        gateway = recorder.one(NAT)
        assert gateway.name == "net-nat-us-east-1b"
        assert len(recorder.of_type("aws:ec2/eip:Eip")) == 1
        for zone in ("us-east-1a", "us-east-1b"):
            route = _named(recorder, ROUTE)[f"net-nodes-{zone}-out"]
            assert gateway.urn in before(recorder, route.urn)

    def test_a_single_gateway_stays_when_there_is_one_per_zone(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        single = _record(deploy, _single(cluster)).one(NAT)
        assert single.urn in {gateway.urn for gateway in _record(deploy, cluster).of_type(NAT)}

    def test_a_gateway_waits_for_its_own_way_to_the_internet(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        recorder = _record(deploy, cluster)
        needed = {
            _named(recorder, ROUTE)["net-public-out"].urn,
            _named(recorder, ASSOCIATION)["net-public-us-east-1a"].urn,
            recorder.one("aws:ec2/internetGateway:InternetGateway").urn,
        }
        assert needed <= before(recorder, _named(recorder, NAT)["net-nat-us-east-1a"].urn)

    def test_the_control_plane_s_subnets_have_no_way_out(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = _record(deploy, cluster)
        table = _named(recorder, "aws:ec2/routeTable:RouteTable")["net-control-plane"].urn
        assert [route.name for route in recorder.of_type(ROUTE) if table in route.dependencies] == []
        associated = {a.name for a in recorder.of_type(ASSOCIATION) if table in a.dependencies}
        assert associated == {f"net-control-plane-{zone}" for zone in ZONES}

    def test_what_is_put_into_a_node_s_subnet_waits_for_its_routes(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        def after(network: ClusterNetwork) -> None:
            NetworkInterface("node", subnet_id=network.node_subnets["us-east-1b"])

        recorder = _record(deploy, cluster, after)
        found = before(recorder, recorder.one("aws:ec2/networkInterface:NetworkInterface").urn)
        assert _named(recorder, ROUTE)["net-nodes-us-east-1b-out"].urn in found
        assert _named(recorder, ASSOCIATION)["net-nodes-us-east-1b"].urn in found
        assert _named(recorder, NAT)["net-nat-us-east-1b"].urn in found

    def test_a_zone_that_comes_changes_nothing_of_the_others(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        def subnets(zones: tuple[str, ...]) -> dict[str, Any]:
            recorder = _record(deploy, cluster.model_copy(update={"zones": zones}))
            return {each.urn: each.inputs for each in recorder.of_type(SUBNET)}

        fewer, more = subnets(("us-east-1b", "us-east-1c")), subnets(ZONES)
        assert {urn: more[urn] for urn in fewer} == fewer


class TestEndpoints:
    def test_s3_is_reached_from_every_subnet_without_nat(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = _record(deploy, cluster)
        (s3,) = [e for e in recorder.of_type(ENDPOINT) if e.inputs["vpcEndpointType"] == "Gateway"]
        tables = {table.urn for table in recorder.of_type("aws:ec2/routeTable:RouteTable")}
        assert len(tables) == 5
        assert tables <= set(s3.dependencies)
        assert len(s3.inputs["routeTableIds"]) == 5

    def test_a_node_becomes_ready_and_pulls_a_model_without_nat(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        found = [e.inputs for e in _record(deploy, cluster).of_type(ENDPOINT)]
        services = {e["serviceName"] for e in found if e["vpcEndpointType"] == "Interface"}
        needed = ("ec2", "ecr.api", "ecr.dkr", "eks-auth")
        assert services == {f"com.amazonaws.us-east-1.{service}" for service in needed}
        # Without it the names go on leading over NAT.
        assert all(e["privateDnsEnabled"] is True for e in found if e["vpcEndpointType"] == "Interface")
        assert all(len(e["subnetIds"]) == 3 for e in found if e["vpcEndpointType"] == "Interface")

    def test_they_answer_the_vpc_and_nobody_else(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = _record(deploy, cluster)
        rule = recorder.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
        assert rule["cidrIpv4"] == cluster.network.cidr
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)

    def test_in_china_only_names_that_are_known_are_used(self, cluster: EksCluster) -> None:
        china = cluster.model_copy(update={"region": "cn-north-1"})
        assert interface_services(china) == {
            service: f"cn.com.amazonaws.cn-north-1.{service}" for service in ("ec2", "ecr.api", "ecr.dkr")
        }


class TestFlowLogs:
    def test_all_traffic_is_logged_encrypted_and_not_for_ever(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        shorter = Network(cidr=cluster.network.cidr, flow_log_days=14)
        recorder = _record(deploy, cluster.model_copy(update={"network": shorter}))
        assert recorder.one("aws:ec2/flowLog:FlowLog").inputs["trafficType"] == "ALL"
        group = recorder.one("aws:cloudwatch/logGroup:LogGroup").inputs
        assert (group["name"], group["retentionInDays"], group["kmsKeyId"]) == (group_name(cluster), 14, KEY)

    def test_only_flow_logs_of_this_account_get_the_role(self, deploy: Deploy, cluster: EksCluster) -> None:
        role = _record(deploy, cluster).one("aws:iam/role:Role").inputs
        (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*"},
        }

    def test_the_role_writes_into_the_one_log_group_and_creates_none(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        text = _record(deploy, cluster).one("aws:iam/rolePolicy:RolePolicy").inputs["policy"]
        (statement,) = json.loads(text)["Statement"]
        group = f"arn:aws:logs:us-east-1:123456789012:log-group:{group_name(cluster)}"
        assert statement["Resource"] == [group, f"{group}:*"]
        assert "logs:CreateLogGroup" not in statement["Action"]

    def test_another_part_of_aws_is_named_as_it_is_there(self, cluster: EksCluster) -> None:
        china = cluster.model_copy(update={"region": "cn-north-1"})
        assert all(
            str(arn).startswith("arn:aws-cn:logs:cn-north-1:") for arn in write_statement(china).resources
        )

    def test_the_log_waits_for_the_right_to_write(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = _record(deploy, cluster)
        policy = recorder.one("aws:iam/rolePolicy:RolePolicy").urn
        assert policy in recorder.one("aws:ec2/flowLog:FlowLog").dependencies
