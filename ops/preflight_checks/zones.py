"""Zones: that they are there, that EKS takes them, and that each pool's instances are sold in them.

What the checks of the settings know of zones is common knowledge. This is about one account: the name us-east-1a means
another zone in each, and new instance types come to some accounts first.
"""

from typing import Any, Final

from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import OFFERINGS, ZONES
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok
from settings.pools import Pool

# Subnets of an EKS cluster can not lie there: EKS User Guide, "Amazon EKS networking requirements", read 2026-11.
WITHOUT_EKS: Final = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})


def zones(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each zone of the cluster and of its pools."""
    named = {zone for pool in target.settings.pools for zone in target.settings.zones_of(pool)}

    def look(zone: str) -> Outcome:
        there: list[dict[str, Any]] = aws.ask(ZONES, AllAvailabilityZones=False)["AvailabilityZones"]
        usable = sorted(str(one["ZoneName"]) for one in there if _trouble(one) is None)
        found = next((one for one in there if one["ZoneName"] == zone), None)
        fix = f"write other zones in cluster.zones; this account has {', '.join(usable)}"
        if found is None:
            return missing("the account has no such zone", fix)
        trouble = _trouble(found)
        return ok(f"{found['ZoneId']}, {found['State']}") if trouble is None else missing(trouble, fix)

    return [
        Probe(subject=zone, needed="available, and taken by EKS", look=lambda zone=zone: look(zone))
        for zone in sorted({*target.cluster.zones, *named})
    ]


def offerings(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each pool's instance type in each of the pool's zones."""
    types = sorted({pool.instance_type for pool in target.settings.pools})

    def look(pool: Pool) -> Outcome:
        offered: list[dict[str, Any]] = aws.ask(
            OFFERINGS,
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": types}],
        )["InstanceTypeOfferings"]
        sold = {str(one["Location"]) for one in offered if one["InstanceType"] == pool.instance_type}
        lacking = [zone for zone in target.settings.zones_of(pool) if zone not in sold]
        if not lacking:
            return ok("offered in all of them")
        elsewhere = ", ".join(sorted(sold)) or f"no zone of {target.cluster.region}"
        return missing(
            f"not offered in {', '.join(lacking)}",
            f"set pools[{pool.name}].zones: {pool.instance_type} is offered in {elsewhere}",
        )

    return [
        Probe(
            subject=f"pool {pool.name}",
            needed=f"{pool.instance_type} in {', '.join(target.settings.zones_of(pool))}",
            look=lambda pool=pool: look(pool),
        )
        for pool in target.settings.pools
    ]


def _trouble(zone: dict[str, Any]) -> str | None:
    """Say why a cluster can not use a zone."""
    if zone["ZoneId"] in WITHOUT_EKS:
        return f"{zone['ZoneId']}: EKS does not run there"
    if zone.get("ZoneType", "availability-zone") != "availability-zone":
        return f"a {zone['ZoneType']}: EKS needs availability zones"
    return None if zone["State"] == "available" else f"{zone['ZoneId']}, {zone['State']}"
