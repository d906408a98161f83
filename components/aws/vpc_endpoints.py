"""Ways from a VPC to AWS that do not lead over NAT.

Owns: the gateway endpoint of S3, the interface endpoints and the security group in front of them.

S3 is free of charge, and most of the traffic: weights, and the layers of every image in ECR. An interface
endpoint costs 0.01 USD an hour and zone (7.30 USD a month; us-east-1, 2026). These four are what a node needs to
become ready and to start a model from ECR, so that neither waits for a NAT gateway: `ec2` (the network plugin takes
addresses for pods), `eks-auth` (credentials for the plugin, and for models that read S3), `ecr.api` and
`ecr.dkr`. Everything else (logs, STS, Karpenter's calls, public registries) goes over NAT: little traffic, and
no replica waits for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.ec2 import SecurityGroup, VpcEndpoint
from pulumi_aws.vpc import SecurityGroupIngressRule

from components.aws.known_after import known_after
from settings.cluster import EksCluster

HTTPS: Final = 443


@dataclass(frozen=True, kw_only=True)
class VpcEndpointsArgs:
    """`subnets`: of the nodes, by zone. `route_tables`: from which S3 is reached."""

    cluster: EksCluster
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    route_tables: Sequence[pulumi.Input[str]]


class VpcEndpoints(pulumi.ComponentResource):
    """Makes the endpoints."""

    def __init__(self, name: str, args: VpcEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:network:VpcEndpoints", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        s3 = VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{cluster.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_tables),
            tags={"Name": f"{cluster.name}-s3"},
            opts=child,
        )
        group = SecurityGroup(
            f"{name}-group",
            name=f"{cluster.name}-endpoints",
            description="Endpoints of AWS services: HTTPS from the VPC",
            vpc_id=args.vpc_id,
            opts=child,
        )
        # No rule for what goes out: an endpoint answers, it never asks.
        rule = SecurityGroupIngressRule(
            f"{name}-https",
            security_group_id=group.id,
            cidr_ipv4=cluster.network.cidr,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="HTTPS from the VPC",
            opts=child,
        )
        # Known with its rule: private names lead here as soon as an endpoint is there.
        admitting = known_after(group.id, rule.id)
        for service, full_name in interface_services(cluster).items():
            VpcEndpoint(
                f"{name}-{service.replace('.', '-')}",
                vpc_id=args.vpc_id,
                service_name=full_name,
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[args.subnets[zone] for zone in sorted(args.subnets)],
                security_group_ids=[admitting],
                tags={"Name": f"{cluster.name}-{service}"},
                opts=child,
            )
        self.register_outputs({"s3": s3.id})


def interface_services(cluster: EksCluster) -> dict[str, str]:
    """Return the services that get an interface endpoint, with the names that they have in the cluster's region."""
    prefix = "cn.com.amazonaws" if cluster.partition == "aws-cn" else "com.amazonaws"
    return {service: f"{prefix}.{cluster.region}.{service}" for service in cluster.interface_endpoints}
