"""Certificates of the platform's domain: one that callers see, one for the way from CloudFront inwards.

Owns: a certificate in each of the two regions, the DNS record that proves the domain, and the wait until ACM
has seen it. Does not own: the hosted zone. The proof must stay: ACM looks for it again at every renewal.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.acm import Certificate, CertificateValidation
from pulumi_aws.route53 import Record

from components.aws.web_firewall import CLOUDFRONT_REGION

PROOF_TTL_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class EdgeCertificatesArgs:
    """`region` of the load balancer; CloudFront takes its certificate from us-east-1 alone."""

    domain: str
    hosted_zone: str
    region: str


class EdgeCertificates(pulumi.ComponentResource):
    """Makes them. `viewer` and `origin` are ARNs, known once ACM has issued the certificate."""

    viewer: pulumi.Output[str]
    origin: pulumi.Output[str]

    def __init__(
        self, name: str, args: EdgeCertificatesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:edge:EdgeCertificates", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        # In us-east-1 one certificate is both.
        certificates = {
            region: Certificate(
                f"{name}-{region}",
                domain_name=args.domain,
                validation_method="DNS",
                region=region,
                opts=self._child,
            )
            for region in sorted({CLOUDFRONT_REGION, args.region})
        }
        proof = self._proof(name, args, certificates[CLOUDFRONT_REGION])
        issued = {
            region: CertificateValidation(
                f"{name}-{region}-issued",
                certificate_arn=certificate.arn,
                validation_record_fqdns=[proof.fqdn],
                region=region,
                opts=self._child,
            ).certificate_arn
            for region, certificate in certificates.items()
        }
        self.viewer = issued[CLOUDFRONT_REGION]
        self.origin = issued[args.region]
        self.register_outputs({"viewer": self.viewer, "origin": self.origin})

    def _proof(self, name: str, args: EdgeCertificatesArgs, certificate: Certificate) -> Record:
        """Make the one record: ACM asks for the same one for all certificates of a domain in an account."""
        option = certificate.domain_validation_options[0]
        return Record(
            f"{name}-proof",
            zone_id=args.hosted_zone,
            name=option.resource_record_name,
            type=option.resource_record_type,
            records=[option.resource_record_value],
            ttl=PROOF_TTL_SECONDS,
            opts=self._child,
        )
