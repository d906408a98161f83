"""The network of a cluster that the program creates, and who reaches the cluster's API."""

from ipaddress import IPv4Network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal

PRIVATE_RANGES: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
# AWS takes a VPC of /16 to /28. From /20 on down a zone's nodes would have fewer than 500 addresses for their pods.
LARGEST_PREFIX: Final = 16
SMALLEST_PREFIX: Final = 20


def ipv4_network(value: str) -> str:
    """Check an address block: the address of the network itself, with its length."""
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        raise refusal(
            "not a block of IPv4 addresses", "write address and length, e.g. '203.0.113.0/24'"
        ) from None
    if "/" not in value or str(network) != value:
        raise refusal("not the address of a network", f"write {str(network)!r}")
    return value


def _private_block(value: str) -> str:
    network = IPv4Network(ipv4_network(value))
    if not any(network.subnet_of(each) for each in PRIVATE_RANGES):
        ranges = ", ".join(map(str, PRIVATE_RANGES))
        raise refusal("not a private block: its addresses belong to others", f"use a block of {ranges}")
    return value


def _vpc_block(value: str) -> str:
    prefix = IPv4Network(_private_block(value)).prefixlen
    if not LARGEST_PREFIX <= prefix <= SMALLEST_PREFIX:
        raise refusal(
            f"a VPC of length /{prefix}: AWS takes at most /{LARGEST_PREFIX}, and below /{SMALLEST_PREFIX} "
            "a zone's nodes have too few addresses for their pods",
            f"write a block of /{LARGEST_PREFIX} to /{SMALLEST_PREFIX}, e.g. '10.0.0.0/16'",
        )
    return value


Ipv4Block = Annotated[str, AfterValidator(ipv4_network)]
PrivateBlock = Annotated[str, AfterValidator(_private_block)]
VpcBlock = Annotated[str, AfterValidator(_vpc_block)]
# What CloudWatch Logs takes as retention, in days (PutRetentionPolicy).
RETENTION_DAYS: Final = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


def _retention(value: int) -> int:
    if value not in RETENTION_DAYS:
        nearest = min((days for days in RETENTION_DAYS if days > value), default=RETENTION_DAYS[-1])
        raise refusal("not a retention that CloudWatch Logs knows", f"write {nearest}")
    return value


RetentionDays = Annotated[int, Field(strict=True), AfterValidator(_retention)]


class NatPerZone(Section):
    """A NAT gateway in every zone: the loss of one zone takes no other one's way out."""

    kind: Literal["per-zone"]


class SingleNat(Section):
    """One NAT gateway for all zones: cheaper, and the way out of all of them ends with its zone."""

    kind: Literal["single"]


Nat = Annotated[NatPerZone | SingleNat, Field(discriminator="kind")]


class Network(Section):
    """The VPC. `cidr` holds its subnets, `service_cidr` the addresses of Services; both are fixed at creation."""

    cidr: VpcBlock = "10.0.0.0/16"
    service_cidr: PrivateBlock = "172.20.0.0/16"
    nat: Nat = NatPerZone(kind="per-zone")
    flow_log_days: RetentionDays = 90


class PrivateEndpoint(Section):
    """The cluster's API is reached from its VPC alone, and from what is joined to it."""

    kind: Literal["private"]


class PublicEndpoint(Section):
    """The cluster's API is also reached from the address blocks of `allow`, and from nowhere else."""

    kind: Literal["public"]
    allow: Annotated[tuple[Ipv4Block, ...], Field(min_length=1)]


Endpoint = Annotated[PrivateEndpoint | PublicEndpoint, Field(discriminator="kind")]
