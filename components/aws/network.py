"""The network of a cluster: a VPC whose nodes have no public address, and a way out for them.

Owns: the VPC, its subnets and routes, the NAT gateways, its endpoints and flow logs. Does not own: security
groups of what runs in it.

Three subnets a zone. Nodes and pods are in `nodes`, with a way out through NAT. `public` holds NAT gateways and
nothing else. `control_plane` holds the network interfaces of the cluster's API, and has no way out.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.ec2 import (
    DefaultSecurityGroup,
    Eip,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    RouteTableAssociation,
    Subnet,
    Vpc,
)

from components.aws.flow_logs import FlowLogs, FlowLogsArgs
from components.aws.known_after import known_after
from components.aws.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from settings.cluster import EksCluster
from settings.network import NatPerZone
from settings.subnets import plan_subnets

EVERYWHERE: Final = "0.0.0.0/0"
INTERNAL_LOAD_BALANCERS: Final = {"kubernetes.io/role/internal-elb": "1"}
"""Where controllers put load balancers. `public` has no such tag, so that none of them makes one that faces the internet."""


@dataclass(frozen=True, kw_only=True)
class ClusterNetworkArgs:
    """`flow_log_key`: ARN of the key that encrypts the flow logs; CloudWatch Logs may use it."""

    cluster: EksCluster
    flow_log_key: pulumi.Input[str]


class ClusterNetwork(pulumi.ComponentResource):
    """Makes the network. Subnets are by zone; those of nodes are known once there is a way out of them."""

    vpc_id: pulumi.Output[str]
    node_subnets: dict[str, pulumi.Output[str]]
    control_plane_subnets: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: ClusterNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:network:ClusterNetwork", name, {}, opts)
        self._name = name
        self._cluster = args.cluster
        self._child = pulumi.ResourceOptions(parent=self)
        self._plan = plan_subnets(args.cluster.network.cidr, args.cluster.zones)
        self._tables: list[RouteTable] = []
        self._vpc = self._make_vpc()
        self.vpc_id = self._vpc.id
        nat = self._nat_gateways(self._public_subnets())
        self.node_subnets = self._node_subnets(nat)
        self.control_plane_subnets = self._control_plane_subnets()
        VpcEndpoints(
            f"{name}-endpoints",
            VpcEndpointsArgs(
                cluster=args.cluster,
                vpc_id=self.vpc_id,
                subnets=self.node_subnets,
                route_tables=[table.id for table in self._tables],
            ),
            self._child,
        )
        FlowLogs(
            f"{name}-flow-logs",
            FlowLogsArgs(cluster=args.cluster, vpc_id=self.vpc_id, key_arn=args.flow_log_key),
            self._child,
        )
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "node_subnets": self.node_subnets,
                "control_plane_subnets": self.control_plane_subnets,
            }
        )

    def _tag(self, role: str) -> dict[str, str]:
        return {"Name": f"{self._cluster.name}-{role}"}

    def _make_vpc(self) -> Vpc:
        vpc = Vpc(
            f"{self._name}-vpc",
            cidr_block=self._cluster.network.cidr,
            # Both, or the private names of the cluster's API and of the endpoints resolve to nothing.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": self._cluster.name},
            opts=self._child,
        )
        # AWS lets everything in it talk to everything. Without rules, what forgets to name a group talks to nobody.
        DefaultSecurityGroup(
            f"{self._name}-default-group", vpc_id=vpc.id, ingress=[], egress=[], opts=self._child
        )
        return vpc

    def _subnet(self, role: str, zone: str, block: str, tags: dict[str, str] | None = None) -> Subnet:
        return Subnet(
            f"{self._name}-{role}-{zone}",
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=block,
            map_public_ip_on_launch=False,
            tags={**self._tag(f"{role}-{zone}"), **(tags or {})},
            opts=self._child,
        )

    def _table(self, role: str) -> RouteTable:
        table = RouteTable(f"{self._name}-{role}", vpc_id=self.vpc_id, tags=self._tag(role), opts=self._child)
        self._tables.append(table)
        return table

    def _associate(self, role: str, zone: str, subnet: Subnet, table: RouteTable) -> RouteTableAssociation:
        return RouteTableAssociation(
            f"{self._name}-{role}-{zone}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )

    def _public_subnets(self) -> dict[str, pulumi.Output[str]]:
        """Make them in every zone, so that NAT in one more zone needs no new one. By zone, known once routed."""
        gateway = InternetGateway(
            f"{self._name}-internet",
            vpc_id=self.vpc_id,
            tags={"Name": self._cluster.name},
            opts=self._child,
        )
        table = self._table("public")
        out = Route(
            f"{self._name}-public-out",
            route_table_id=table.id,
            destination_cidr_block=EVERYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        found: dict[str, pulumi.Output[str]] = {}
        for each in self._plan:
            subnet = self._subnet("public", each.zone, each.public)
            association = self._associate("public", each.zone, subnet, table)
            found[each.zone] = known_after(subnet.id, association.id, out.id)
        return found

    def _nat_gateways(self, public: dict[str, pulumi.Output[str]]) -> dict[str, NatGateway]:
        """Return each zone's gateway. A single one is in the zone that the settings name first."""
        zones = self._cluster.zones
        homes = zones if isinstance(self._cluster.network.nat, NatPerZone) else zones[:1]
        made = {zone: self._nat(zone, public[zone]) for zone in homes}
        return {zone: made.get(zone, made[homes[0]]) for zone in zones}

    def _nat(self, zone: str, subnet: pulumi.Output[str]) -> NatGateway:
        tags = self._tag(f"nat-{zone}")
        address = Eip(f"{self._name}-nat-address-{zone}", domain="vpc", tags=tags, opts=self._child)
        return NatGateway(
            f"{self._name}-nat-{zone}",
            allocation_id=address.id,
            subnet_id=subnet,
            tags=tags,
            opts=self._child,
        )

    def _node_subnets(self, nat: dict[str, NatGateway]) -> dict[str, pulumi.Output[str]]:
        found: dict[str, pulumi.Output[str]] = {}
        for each in self._plan:
            role = f"nodes-{each.zone}"
            table = self._table(role)
            out = Route(
                f"{self._name}-{role}-out",
                route_table_id=table.id,
                destination_cidr_block=EVERYWHERE,
                nat_gateway_id=nat[each.zone].id,
                opts=self._child,
            )
            subnet = self._subnet("nodes", each.zone, each.nodes, INTERNAL_LOAD_BALANCERS)
            association = self._associate("nodes", each.zone, subnet, table)
            # A node that starts before its routes can not join the cluster, and its group fails after half an hour.
            found[each.zone] = known_after(subnet.id, association.id, out.id)
        return found

    def _control_plane_subnets(self) -> dict[str, pulumi.Output[str]]:
        # Without an association it would be the VPC's main table, which anybody may change by hand.
        table = self._table("control-plane")
        found: dict[str, pulumi.Output[str]] = {}
        for each in self._plan:
            subnet = self._subnet("control-plane", each.zone, each.control_plane)
            association = self._associate("control-plane", each.zone, subnet, table)
            found[each.zone] = known_after(subnet.id, association.id)
        return found
