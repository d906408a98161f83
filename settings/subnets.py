"""How a VPC is cut into subnets.

The place of a subnet follows from its zone's letter alone: a zone that is added later, or written in another
order, moves no subnet that is there. A moved subnet would be replaced, with every node in it.

The block is cut into eight. Six parts are for nodes and pods, of zones a to f. Of the seventh, six sixteenths
are for what must be public (NAT gateways) and of the eighth, six sixteenths are for the network interfaces
of the control plane, kept apart so that no shortage of pod addresses stops an upgrade.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

PARTS_BITS: Final = 3
SMALL_BITS: Final = 4
ZONE_LETTERS: Final = "abcdef"
_PUBLIC_PART: Final = 6
_CONTROL_PLANE_PART: Final = 7


@dataclass(frozen=True, kw_only=True)
class ZoneSubnets:
    """The address blocks of one zone."""

    zone: str
    nodes: str
    public: str
    control_plane: str


def plan_subnets(cidr: str, zones: Iterable[str]) -> tuple[ZoneSubnets, ...]:
    """Return the blocks of each zone, by the zone's name. Raises ValueError for a zone without a place."""
    parts = list(IPv4Network(cidr).subnets(prefixlen_diff=PARTS_BITS))
    public = list(parts[_PUBLIC_PART].subnets(prefixlen_diff=SMALL_BITS))
    control_plane = list(parts[_CONTROL_PLANE_PART].subnets(prefixlen_diff=SMALL_BITS))
    places = {zone: zone_place(zone) for zone in sorted(zones)}
    return tuple(
        ZoneSubnets(
            zone=zone,
            nodes=str(parts[place]),
            public=str(public[place]),
            control_plane=str(control_plane[place]),
        )
        for zone, place in places.items()
    )


def zone_place(zone: str) -> int:
    """Return 0 for a zone that ends in a, up to 5 for f. Raises ValueError."""
    place = ZONE_LETTERS.find(zone[-1:])
    if place < 0:
        message = f"zone {zone} does not end in one of {', '.join(ZONE_LETTERS)}"
        raise ValueError(message)
    return place
