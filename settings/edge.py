"""How the platform is reached from the internet: not at all, or by CloudFront behind a web application firewall."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.network import RetentionDays

_DOMAIN: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
FIREWALL_RULES: Final = 5
"""Of the web firewall: what is blocked by address, and AWS's groups, each one rule for its price."""
_HOSTED_ZONE: Final = re.compile(r"Z[A-Z0-9]{6,31}")


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value):
        raise refusal(
            "not a domain name", "write it in lower case, without 'https://', e.g. 'llm.example.com'"
        )
    return value


def _hosted_zone(value: str) -> str:
    if not _HOSTED_ZONE.fullmatch(value):
        raise refusal("not the id of a Route 53 hosted zone", "write the id, e.g. 'Z0123456789ABCDEFGHIJ'")
    return value


class NoEdge(Section):
    """The platform is internal: nothing of it is reached from the internet."""

    kind: Literal["off"]


class CloudFrontEdge(Section):
    """WAF and CloudFront, with a VPC origin to an internal load balancer.

    read_timeout_seconds: how long CloudFront waits for the next byte; a generation that is not streamed and
    takes longer is answered with 504. requests_per_5_minutes: of one address, before the firewall blocks it.
    """

    kind: Literal["cloudfront"]
    domain: Annotated[str, AfterValidator(_domain)]
    hosted_zone: Annotated[str, AfterValidator(_hosted_zone)]
    # CloudFront takes 1 to 120 s (CustomOriginConfig.OriginReadTimeout).
    read_timeout_seconds: Annotated[int, Field(strict=True, ge=1, le=120)] = 120
    # WAF takes 10 to 2,000,000,000 (RateBasedStatement.Limit).
    requests_per_5_minutes: Annotated[int, Field(strict=True, ge=10, le=2_000_000_000)] = 2000
    log_days: RetentionDays = 90


Edge = Annotated[NoEdge | CloudFrontEdge, Field(discriminator="kind")]
