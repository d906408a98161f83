"""Arguments of the edge and its parts."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.distribution import EdgeDistribution, EdgeDistributionArgs
from components.aws.edge import Edge, EdgeArgs
from components.aws.edge_certificates import EdgeCertificates, EdgeCertificatesArgs
from components.aws.internal_load_balancer import InternalLoadBalancer, InternalLoadBalancerArgs
from components.aws.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from components.aws.web_firewall import WebFirewall, WebFirewallArgs
from settings import Settings
from settings.cluster import EksCluster
from settings.edge import CloudFrontEdge

CERTIFICATE: Final = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"


def _cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


def _edge(settings: Settings) -> CloudFrontEdge:
    return cast("CloudFrontEdge", settings.edge)


def _subnets(settings: Settings) -> dict[str, str]:
    return {zone: f"subnet-{index}" for index, zone in enumerate(settings.cluster.zones)}


FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    Edge: lambda s: EdgeArgs(
        cluster=_cluster(s),
        edge=_edge(s),
        namespace=s.namespace,
        deletion_protection=s.deletion_protection,
        vpc_id="vpc-1",
        subnets=_subnets(s),
        nodes="sg-nodes",
    ),
    EdgeCertificates: lambda s: EdgeCertificatesArgs(
        domain=_edge(s).domain, hosted_zone=_edge(s).hosted_zone, region="eu-west-1"
    ),
    EdgeDistribution: lambda s: EdgeDistributionArgs(
        name="edge",
        domain=_edge(s).domain,
        certificate_arn=CERTIFICATE,
        origin_arn="arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/llm/1",
        origin_dns="internal-llm-1.us-east-1.elb.amazonaws.com",
        firewall_arn="arn:aws:wafv2:us-east-1:123456789012:global/webacl/edge/1",
        read_timeout_seconds=_edge(s).read_timeout_seconds,
    ),
    InternalLoadBalancer: lambda s: InternalLoadBalancerArgs(
        name=_cluster(s).name,
        vpc_id="vpc-1",
        subnets=_subnets(s),
        nodes="sg-nodes",
        origin_prefix_list="pl-1",
        certificate_arn=CERTIFICATE,
        read_timeout_seconds=_edge(s).read_timeout_seconds,
        deletion_protection=s.deletion_protection,
    ),
    LoadBalancerController: lambda s: LoadBalancerControllerArgs(
        charts=s.charts,
        namespace="kube-system",
        cluster=_cluster(s),
        cluster_name=_cluster(s).name,
        vpc_id="vpc-1",
        target_group=_cluster(s).name,
        ready=_cluster(s).name,
    ),
    WebFirewall: lambda s: WebFirewallArgs(
        name="edge",
        requests_per_5_minutes=_edge(s).requests_per_5_minutes,
        log_days=_edge(s).log_days,
    ),
}
