"""Quotas of EC2, against the largest size that the pools may reach.

What else runs in the account and region counts against the same quotas and is not subtracted here: AWS tells usage only
through CloudWatch, and late.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import DEFAULT_QUOTA, QUOTA
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok, unknown
from settings.network import NatPerZone
from settings.pools import CapacityBlock, ManagedProvisioner, Pool, SpotCapacity

SERVICE: Final = "ec2"
# A node group takes a new node in before it drains an old one.
UPDATE_NODES: Final = 1
_ADDRESSES: Final = "L-0263D0A3"
_FAMILY: Final = re.compile(r"([a-z]+?)(\d)")


@dataclass(frozen=True, kw_only=True)
class VcpuQuota:
    """A quota in vCPUs. families: letters that an instance type's name begins with, alone or with its generation."""

    code: str
    name: str
    families: frozenset[str]
    spot: bool


_STANDARD: Final = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))
VCPU_QUOTAS: Final = (
    VcpuQuota(code="L-1216C47A", name="Running On-Demand Standard instances", families=_STANDARD, spot=False),
    VcpuQuota(
        code="L-DB2E81BA",
        name="Running On-Demand G and VT instances",
        families=frozenset(("g", "gr", "vt")),
        spot=False,
    ),
    VcpuQuota(
        code="L-417A185B", name="Running On-Demand P instances", families=frozenset(("p",)), spot=False
    ),
    VcpuQuota(code="L-34B43A08", name="All Standard Spot Instance Requests", families=_STANDARD, spot=True),
    VcpuQuota(
        code="L-3819A6DF",
        name="All G and VT Spot Instance Requests",
        families=frozenset(("g", "gr", "vt")),
        spot=True,
    ),
    VcpuQuota(
        code="L-7212CCBC",
        name="All P4, P3 and P2 Spot Instance Requests",
        families=frozenset(("p2", "p3", "p4")),
        spot=True,
    ),
    VcpuQuota(
        code="L-C4BD4855", name="All P5 Spot Instance Requests", families=frozenset(("p5",)), spot=True
    ),
)


def quotas(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each quota that some pool counts against, and for the addresses of the NAT gateways."""
    pools = [pool for pool in target.settings.pools if counts(pool)]
    probes = [
        _vcpu_probe(aws, target, quota, held)
        for quota in VCPU_QUOTAS
        if (held := [pool for pool in pools if quota_of(pool) is quota])
    ]
    return [
        *probes,
        *map(_nameless, (pool for pool in pools if quota_of(pool) is None)),
        _addresses(aws, target),
    ]


def counts(pool: Pool) -> bool:
    """Tell whether a pool counts against a quota. A capacity block does not; an On-Demand reservation does."""
    return pool.max > 0 and not isinstance(pool.capacity, CapacityBlock)


def quota_of(pool: Pool) -> VcpuQuota | None:
    """Return the quota that a pool counts against, None where it is not known."""
    match = _FAMILY.match(pool.instance_type)
    names = {match[1], match[0]} if match else set[str]()
    spot = isinstance(pool.capacity, SpotCapacity)
    return next((quota for quota in VCPU_QUOTAS if quota.spot is spot and quota.families & names), None)


def most_nodes(pool: Pool) -> int:
    """Return how many nodes of a pool there may be at once, one more for the update of a managed pool."""
    return pool.max + (UPDATE_NODES if isinstance(pool.provisioner, ManagedProvisioner) else 0)


def _vcpu_probe(aws: Aws, target: Target, quota: VcpuQuota, pools: Iterable[Pool]) -> Probe:
    parts = [(pool.name, most_nodes(pool), pool.instance.vcpu) for pool in pools]
    total = sum(nodes * vcpu for _, nodes, vcpu in parts)
    sums = ", ".join(f"{name} {nodes} x {vcpu}" for name, nodes, vcpu in parts)
    return Probe(
        subject=f"{quota.name} ({quota.code})",
        needed=f"{total} vCPU: {sums}",
        look=lambda: _compared(aws, target, quota.code, total, "vCPU"),
    )


def _addresses(aws: Aws, target: Target) -> Probe:
    per_zone = isinstance(target.cluster.network.nat, NatPerZone)
    total = len(target.cluster.zones) if per_zone else 1
    return Probe(
        subject=f"EC2-VPC Elastic IPs ({_ADDRESSES})",
        needed=f"{total} addresses, for NAT gateways",
        look=lambda: _compared(aws, target, _ADDRESSES, total, "addresses"),
    )


def _nameless(pool: Pool) -> Probe:
    capacity = pool.capacity.kind
    return Probe(
        subject=f"pool {pool.name}",
        needed=f"{most_nodes(pool) * pool.instance.vcpu} vCPU",
        look=lambda: unknown(
            f"it is not known which quota {pool.instance_type} with capacity {capacity} counts against",
            "look for its family among the quotas of EC2",
        ),
    )


def _compared(aws: Aws, target: Target, code: str, needed: int, unit: str) -> Outcome:
    try:
        quota = aws.ask(QUOTA, ServiceCode=SERVICE, QuotaCode=code)["Quota"]
    except RefusedError as error:
        if error.code != "NoSuchResourceException":
            raise
        # Nobody ever asked for more in this account.
        quota = aws.ask(DEFAULT_QUOTA, ServiceCode=SERVICE, QuotaCode=code)["Quota"]
    value = int(quota["Value"])
    if value >= needed:
        return ok(f"{value} {unit}")
    return missing(
        f"{value} {unit}",
        f"`aws service-quotas request-service-quota-increase --service-code {SERVICE} --quota-code {code} "
        f"--desired-value {needed} --region {target.cluster.region}`, and more for what else runs in the account",
    )
