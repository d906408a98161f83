"""Capacity reservations and capacity blocks of pools: that they are there, fit the pool, and last."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import RESERVATIONS
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok
from settings.pools import CapacityBlock, Pool, ReservedCapacity

# Time to find capacity elsewhere. A capacity block is bought for days, so it need only be running.
LASTS: Final = timedelta(days=14)
LINUX: Final = "Linux/UNIX"
_KINDS: Final = {"default": "reserved", "capacity-block": "capacity-block"}


def reservations(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each reservation that pools name."""
    users: dict[str, list[Pool]] = defaultdict(list)
    for pool in target.settings.pools:
        if isinstance(pool.capacity, ReservedCapacity | CapacityBlock):
            users[pool.capacity.reservation].append(pool)
    return [
        Probe(
            subject=reservation,
            needed=f"{sum(pool.max for pool in pools)} x {pools[0].instance_type} "
            f"for {', '.join(f'pool {pool.name}' for pool in pools)}",
            look=lambda reservation=reservation, pools=pools: _look(aws, target, reservation, pools),
        )
        for reservation, pools in users.items()
    ]


def _look(aws: Aws, target: Target, reservation: str, pools: list[Pool]) -> Outcome:
    names = ", ".join(f"pools[{pool.name}]" for pool in pools)
    try:
        answer: list[dict[str, Any]] = aws.ask(RESERVATIONS, CapacityReservationIds=[reservation])[
            "CapacityReservations"
        ]
    except RefusedError as error:
        if not error.code.startswith("InvalidCapacityReservationId"):
            raise
        answer = []
    if not answer:
        return missing(
            f"the account has no such reservation in {target.cluster.region}",
            f"reserve the capacity and write its id in {names}.capacity.reservation, or use kind on-demand",
        )
    (found,) = answer
    troubles = [trouble for pool in pools for trouble in _misfits(found, pool, target)]
    troubles += _shortage(found, sum(pool.max for pool in pools))
    troubles += _time(found, target.now)
    described = (
        f"{found.get('State')}, {found.get('TotalInstanceCount')} x {found.get('InstanceType')} "
        f"in {found.get('AvailabilityZone')}{_until(found)}"
    )
    if not troubles:
        return ok(described)
    # Two pools of one reservation have the same troubles.
    return missing(
        "; ".join(dict.fromkeys(troubles)), f"change the reservation, or {names}; it is {described}"
    )


def _misfits(found: dict[str, Any], pool: Pool, target: Target) -> list[str]:
    troubles: list[str] = []
    if found.get("InstanceType") != pool.instance_type:
        troubles.append(f"it is of {found.get('InstanceType')}, not {pool.instance_type}")
    zones = target.settings.zones_of(pool)
    if found.get("AvailabilityZone") not in zones:
        troubles.append(f"it is in {found.get('AvailabilityZone')}, pool {pool.name} in {', '.join(zones)}")
    if not str(found.get("InstancePlatform", LINUX)).startswith(LINUX):
        troubles.append(f"it is of platform {found['InstancePlatform']}, not {LINUX}")
    kind = _KINDS.get(str(found.get("ReservationType", "default")))
    if kind != pool.capacity.kind:
        troubles.append(f"it is of capacity kind {kind}, pool {pool.name} says {pool.capacity.kind}")
    return troubles


def _shortage(found: dict[str, Any], needed: int) -> list[str]:
    count = int(found.get("TotalInstanceCount", 0))
    return [] if count >= needed else [f"it is for {count} instances, {needed} are needed"]


def _time(found: dict[str, Any], now: datetime) -> list[str]:
    state = found.get("State")
    if state != "active":
        start = found.get("StartDate")
        begins = f", it begins {start:%Y-%m-%d %H:%M} UTC" if state == "scheduled" and start else ""
        return [f"it is {state}{begins}"]
    end = found.get("EndDate")
    lasts = timedelta() if found.get("ReservationType") == "capacity-block" else LASTS
    if end is None or end - now >= lasts:
        return []
    return [
        f"it ends {end:%Y-%m-%d}, in less than {LASTS.days} days" if lasts else f"it ended {end:%Y-%m-%d}"
    ]


def _until(found: dict[str, Any]) -> str:
    end = found.get("EndDate")
    return f" until {end:%Y-%m-%d}" if end else ""
