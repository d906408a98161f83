"""The way in from the internet: DNS, CloudFront behind a firewall, an internal load balancer, the gateway.

Owns: all of that but the gateway, to whose Service it binds the load balancer. Does not own: the network, the
cluster, the gateway's namespace, and the hosted zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.ec2 import get_managed_prefix_list_output
from pulumi_aws.route53 import Record
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.api_gateway import GATEWAY, GATEWAY_PORT
from components.aws.distribution import EdgeDistribution, EdgeDistributionArgs
from components.aws.edge_certificates import EdgeCertificates, EdgeCertificatesArgs
from components.aws.internal_load_balancer import (
    InternalLoadBalancer,
    InternalLoadBalancerArgs,
)
from components.aws.web_firewall import WebFirewall, WebFirewallArgs
from settings.cluster import EksCluster
from settings.edge import CloudFrontEdge

ORIGIN_PREFIX_LIST: Final = "com.amazonaws.global.cloudfront.origin-facing"
ALIAS_TYPES: Final = ("A", "AAAA")


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """`namespace` of the gateway. `subnets`: of the nodes, by zone; `nodes`: their security group.

    after: the controller that fills the target group, with its kinds and its webhook.
    """

    cluster: EksCluster
    edge: CloudFrontEdge
    namespace: pulumi.Input[str]
    deletion_protection: bool
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    nodes: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()


class Edge(pulumi.ComponentResource):
    """Opens it. `url` is known once names lead there."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:edge:Edge", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        certificates = EdgeCertificates(
            f"{name}-certificates",
            EdgeCertificatesArgs(
                domain=args.edge.domain, hosted_zone=args.edge.hosted_zone, region=args.cluster.region
            ),
            self._child,
        )
        balancer = self._balancer(name, certificates)
        self._bind(name, balancer)
        distribution = self._distribution(name, certificates, balancer)
        names = [
            Record(
                f"{name}-{type_.lower()}",
                zone_id=args.edge.hosted_zone,
                name=args.edge.domain,
                type=type_,
                aliases=[
                    {
                        "name": distribution.domain_name,
                        "zone_id": distribution.hosted_zone_id,
                        "evaluate_target_health": False,
                    }
                ],
                opts=self._child,
            ).fqdn
            for type_ in ALIAS_TYPES
        ]
        self.url = pulumi.Output.all(*names).apply(lambda _: f"https://{args.edge.domain}")
        self.register_outputs({"url": self.url})

    def _balancer(self, name: str, certificates: EdgeCertificates) -> InternalLoadBalancer:
        args = self._args
        # The only thing in the program that is asked of AWS: the list's id differs by region.
        origin = get_managed_prefix_list_output(
            name=ORIGIN_PREFIX_LIST, opts=pulumi.InvokeOptions(parent=self)
        )
        return InternalLoadBalancer(
            f"{name}-balancer",
            InternalLoadBalancerArgs(
                name=args.cluster.name,
                vpc_id=args.vpc_id,
                subnets=args.subnets,
                nodes=args.nodes,
                origin_prefix_list=origin.id,
                certificate_arn=certificates.origin,
                read_timeout_seconds=args.edge.read_timeout_seconds,
                deletion_protection=args.deletion_protection,
            ),
            self._child,
        )

    def _bind(self, name: str, balancer: InternalLoadBalancer) -> None:
        """Put the gateway's pods into the target group. The Service may come later; targets appear with it."""
        args = self._args
        CustomResource(
            f"{name}-binding",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata=ObjectMetaArgs(name=GATEWAY, namespace=args.namespace),
            # All that the controller's webhook would fill in, so that it changes nothing. No `networking`: the
            # security groups' rules are the program's.
            spec={
                "serviceRef": {"name": GATEWAY, "port": GATEWAY_PORT},
                "targetGroupARN": balancer.target_group_arn,
                "targetGroupProtocol": "HTTP",
                "targetType": "ip",
                "ipAddressType": "ipv4",
                "vpcID": args.vpc_id,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # Its CustomResourceDefinition and its webhook, which refuses every binding while no pod answers; and
                # when it is deleted, the controller that takes the finalizer off.
                depends_on=[*args.after],
            ),
        )

    def _distribution(
        self, name: str, certificates: EdgeCertificates, balancer: InternalLoadBalancer
    ) -> EdgeDistribution:
        args = self._args
        firewall = WebFirewall(
            f"{name}-firewall",
            WebFirewallArgs(
                name=f"{args.cluster.name}-edge",
                requests_per_5_minutes=args.edge.requests_per_5_minutes,
                log_days=args.edge.log_days,
            ),
            self._child,
        )
        return EdgeDistribution(
            f"{name}-cdn",
            EdgeDistributionArgs(
                name=f"{args.cluster.name}-edge",
                domain=args.edge.domain,
                certificate_arn=certificates.viewer,
                origin_arn=balancer.arn,
                origin_dns=balancer.dns_name,
                firewall_arn=firewall.arn,
                read_timeout_seconds=args.edge.read_timeout_seconds,
            ),
            self._child,
        )
