"""The load balancer between CloudFront and the gateway: internal, in the nodes' subnets, for TLS alone.

Owns: the load balancer, its listener, the target group, its security group, and the rule that lets it reach
the gateway's pods. Does not own: who is in the target group (`LoadBalancerController`), and the gateway.

Made here and not by a controller in the cluster, because CloudFront needs its ARN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.ec2 import SecurityGroup
from pulumi_aws.lb import Listener, LoadBalancer, TargetGroup
from pulumi_aws.vpc import SecurityGroupEgressRule, SecurityGroupIngressRule

from components.api_gateway import GATEWAY_PORT
from components.api_paths import HEALTH_PATH
from components.aws.known_after import known_after

HTTPS_PORT: Final = 443
# AWS's recommendation: TLS 1.3 and 1.2 with forward secrecy (ELB guide, security policies, 2026).
TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
IDLE_MARGIN_SECONDS: Final = 10
DRAIN_SECONDS: Final = 600
"""How long a gateway pod that leaves may finish what it streams; it ends at once when nothing is open."""


@dataclass(frozen=True, kw_only=True)
class InternalLoadBalancerArgs:
    """`name` of load balancer and target group, at most 32 characters.

    nodes: security group of the gateway's pods. origin_prefix_list: addresses that CloudFront comes from.
    read_timeout_seconds: how long CloudFront waits for the next byte.
    """

    name: str
    vpc_id: pulumi.Input[str]
    subnets: Mapping[str, pulumi.Input[str]]
    nodes: pulumi.Input[str]
    origin_prefix_list: pulumi.Input[str]
    certificate_arn: pulumi.Input[str]
    read_timeout_seconds: int
    deletion_protection: bool


class InternalLoadBalancer(pulumi.ComponentResource):
    """Makes it. `arn` is known once it listens and may reach the pods; `dns_name` and `target_group_arn` before."""

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: InternalLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:edge:InternalLoadBalancer", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        group = SecurityGroup(
            f"{name}-group",
            name=f"{args.name}-edge",
            description="Load balancer of the edge: from CloudFront to the gateway",
            vpc_id=args.vpc_id,
            opts=self._child,
        )
        ways = self._ways(name, group)
        balancer = self._balancer(name, group)
        targets = self._targets(name)
        listener = Listener(
            f"{name}-listener",
            load_balancer_arn=balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=args.certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._child,
        )
        self.arn = known_after(listener.load_balancer_arn, *ways)
        self.dns_name = balancer.dns_name
        self.target_group_arn = targets.arn
        self.register_outputs({"arn": self.arn, "target_group_arn": self.target_group_arn})

    def _ways(self, name: str, group: SecurityGroup) -> list[pulumi.Output[str]]:
        from_cloudfront = SecurityGroupIngressRule(
            f"{name}-from-cloudfront",
            security_group_id=group.id,
            # Counts as 55 of the 60 rules that a security group may have.
            prefix_list_id=self._args.origin_prefix_list,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            description="HTTPS from CloudFront",
            opts=self._child,
        )
        to_gateway = SecurityGroupEgressRule(
            f"{name}-to-gateway",
            security_group_id=group.id,
            referenced_security_group_id=self._args.nodes,
            ip_protocol="tcp",
            from_port=GATEWAY_PORT,
            to_port=GATEWAY_PORT,
            description="Gateway pods",
            opts=self._child,
        )
        admitted = SecurityGroupIngressRule(
            f"{name}-admitted",
            security_group_id=self._args.nodes,
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=GATEWAY_PORT,
            to_port=GATEWAY_PORT,
            description="Gateway pods from the load balancer of the edge",
            opts=self._child,
        )
        return [from_cloudfront.id, to_gateway.id, admitted.id]

    def _balancer(self, name: str, group: SecurityGroup) -> LoadBalancer:
        args = self._args
        return LoadBalancer(
            f"{name}-balancer",
            name=args.name,
            load_balancer_type="application",
            internal=True,
            subnets=[subnet for _, subnet in sorted(args.subnets.items())],
            security_groups=[group.id],
            # Longer than CloudFront waits, so that the answer to a generation that is too slow is CloudFront's 504
            # and no connection is closed under a request.
            idle_timeout=args.read_timeout_seconds + IDLE_MARGIN_SECONDS,
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.deletion_protection,
            opts=self._child,
        )

    def _targets(self, name: str) -> TargetGroup:
        return TargetGroup(
            f"{name}-targets",
            name=self._args.name,
            vpc_id=self._args.vpc_id,
            target_type="ip",
            ip_address_type="ipv4",
            port=GATEWAY_PORT,
            protocol="HTTP",
            protocol_version="HTTP1",
            # Generations last from a second to minutes: taking turns would pile the long ones up on one pod.
            load_balancing_algorithm_type="least_outstanding_requests",
            stickiness={"enabled": False, "type": "lb_cookie"},
            deregistration_delay=DRAIN_SECONDS,
            # A proxy that drains says 503, and has no more requests sent to it.
            health_check={
                "path": HEALTH_PATH,
                "protocol": "HTTP",
                "port": "traffic-port",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            opts=self._child,
        )
