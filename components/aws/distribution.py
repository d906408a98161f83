"""CloudFront in front of the internal load balancer: it ends the callers' TLS and keeps nothing.

Owns: the origin inside the VPC, the distribution and the headers that it adds. Does not own: the load
balancer, the firewall, the certificate, and the DNS records.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi_aws.cloudfront import Distribution, ResponseHeadersPolicy, VpcOrigin

if TYPE_CHECKING:
    from pulumi_aws.cloudfront import (
        DistributionCustomErrorResponseArgsDict,
        DistributionDefaultCacheBehaviorArgsDict,
    )

# Policies that AWS keeps, the same in every account (CloudFront guide, managed cache and origin request policies).
CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER: Final = "216adef6-5c7f-47e4-b989-5492eafa07d3"
METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# Errors that CloudFront keeps for 10 s if nothing is said (CloudFront guide, caching of HTTP status codes).
KEPT_ERRORS: Final = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
HSTS_SECONDS: Final = 63_072_000  # two years
# CloudFront takes up to 120; the load balancer closes an idle connection later than that, after an hour.
KEEPALIVE_SECONDS: Final = 60
ORIGIN: Final = "load-balancer"


@dataclass(frozen=True, kw_only=True)
class EdgeDistributionArgs:
    """`name` of origin and headers policy. `origin_arn` and `origin_dns` of the load balancer."""

    name: str
    domain: str
    certificate_arn: pulumi.Input[str]
    origin_arn: pulumi.Input[str]
    origin_dns: pulumi.Input[str]
    firewall_arn: pulumi.Input[str]
    read_timeout_seconds: int


class EdgeDistribution(pulumi.ComponentResource):
    """Makes it. `domain_name` and `hosted_zone_id` are what an alias record points at."""

    domain_name: pulumi.Output[str]
    hosted_zone_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: EdgeDistributionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:edge:EdgeDistribution", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        distribution = Distribution(
            f"{name}-distribution",
            comment=f"Models of {args.domain}",
            enabled=True,
            aliases=[args.domain],
            is_ipv6_enabled=True,
            http_version="http2and3",
            web_acl_id=args.firewall_arn,
            origins=[
                {
                    "origin_id": ORIGIN,
                    "domain_name": args.origin_dns,
                    "vpc_origin_config": {
                        "vpc_origin_id": self._origin(name),
                        "origin_read_timeout": args.read_timeout_seconds,
                        "origin_keepalive_timeout": KEEPALIVE_SECONDS,
                    },
                }
            ],
            default_cache_behavior=behaviour(self._headers(name)),
            custom_error_responses=uncached_errors(),
            viewer_certificate={
                "acm_certificate_arn": args.certificate_arn,
                "minimum_protocol_version": "TLSv1.2_2021",
                "ssl_support_method": "sni-only",
            },
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            opts=self._child,
        )
        self.domain_name = distribution.domain_name
        self.hosted_zone_id = distribution.hosted_zone_id
        self.register_outputs({"domain_name": self.domain_name, "hosted_zone_id": self.hosted_zone_id})

    def _origin(self, name: str) -> pulumi.Output[str]:
        """Join the VPC. CloudFront compares the certificate with the Host header, which it passes on."""
        return VpcOrigin(
            f"{name}-origin",
            vpc_origin_endpoint_config={
                "name": self._args.name,
                "arn": self._args.origin_arn,
                "http_port": 80,  # asked for, and never used: https-only
                "https_port": 443,
                "origin_protocol_policy": "https-only",
                "origin_ssl_protocols": {"items": ["TLSv1.2"], "quantity": 1},
            },
            opts=self._child,
        ).id

    def _headers(self, name: str) -> pulumi.Output[str]:
        return ResponseHeadersPolicy(
            f"{name}-headers",
            name=self._args.name,
            comment="HTTPS only, types as they are written",
            security_headers_config={
                "strict_transport_security": {
                    "access_control_max_age_sec": HSTS_SECONDS,
                    "include_subdomains": False,
                    "override": True,
                    "preload": False,
                },
                "content_type_options": {"override": True},
            },
            opts=self._child,
        ).id


def behaviour(headers_policy: pulumi.Input[str]) -> "DistributionDefaultCacheBehaviorArgsDict":
    """Return the only behaviour: everything goes to the gateway as it came, and comes back byte by byte."""
    return {
        "target_origin_id": ORIGIN,
        "allowed_methods": list(METHODS),
        "cached_methods": ["GET", "HEAD"],  # CloudFront wants at least these two; the policy caches neither
        "cache_policy_id": CACHING_DISABLED,
        "origin_request_policy_id": ALL_VIEWER,
        "response_headers_policy_id": headers_policy,
        # Whatever is compressed is held back until there is enough of it: tokens would arrive in heaps.
        "compress": False,
        # Not redirect-to-https: a client that calls http:// has sent its token in the clear before it reads the answer.
        "viewer_protocol_policy": "https-only",
    }


def uncached_errors() -> "list[DistributionCustomErrorResponseArgsDict]":
    """Return the errors, each kept for no time: a 503 with Retry-After is true for one caller and one second."""
    return [{"error_code": code, "error_caching_min_ttl": 0} for code in KEPT_ERRORS]
