"""How a VPC is cut: nothing overlaps, nothing moves, everything is of a size that AWS takes."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.network import LARGEST_PREFIX, PRIVATE_RANGES, SMALLEST_PREFIX
from settings.subnets import ZONE_LETTERS, ZoneSubnets, plan_subnets, zone_place

pytestmark = pytest.mark.unit

ALL_ZONES = [f"us-east-1{letter}" for letter in ZONE_LETTERS]
# What AWS takes as a subnet.
BIGGEST_SUBNET, TINIEST_SUBNET = 16, 28
# Addresses that AWS keeps of each subnet.
KEPT = 5


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """A block that the settings accept as a VPC's."""
    within = draw(st.sampled_from(PRIVATE_RANGES))
    prefix = draw(st.integers(LARGEST_PREFIX, SMALLEST_PREFIX))
    place = draw(st.integers(0, 2 ** (prefix - within.prefixlen) - 1))
    first = int(within.network_address) + place * 2 ** (32 - prefix)
    return str(IPv4Network((first, prefix)))


zone_lists = st.lists(st.sampled_from(ALL_ZONES), min_size=1, max_size=6, unique=True)


def _networks(plan: tuple[ZoneSubnets, ...]) -> list[IPv4Network]:
    return [IPv4Network(block) for each in plan for block in (each.nodes, each.public, each.control_plane)]


@given(blocks(), zone_lists)
def test_no_two_subnets_overlap_and_all_lie_inside_the_vpc(cidr: str, zones: list[str]) -> None:
    networks = _networks(plan_subnets(cidr, zones))
    assert len(networks) == 3 * len(zones)
    assert [pair for pair in combinations(networks, 2) if pair[0].overlaps(pair[1])] == []
    assert [network for network in networks if not network.subnet_of(IPv4Network(cidr))] == []


@given(blocks(), zone_lists)
def test_all_subnets_are_of_a_size_that_aws_takes(cidr: str, zones: list[str]) -> None:
    sizes = {network.prefixlen for network in _networks(plan_subnets(cidr, zones))}
    assert min(sizes) >= BIGGEST_SUBNET
    assert max(sizes) <= TINIEST_SUBNET


@given(blocks(), zone_lists, st.permutations(ALL_ZONES))
def test_a_zone_that_is_added_or_written_elsewhere_moves_no_subnet(
    cidr: str, zones: list[str], other_order: list[str]
) -> None:
    fewer = {each.zone: each for each in plan_subnets(cidr, zones)}
    all_of_them = {each.zone: each for each in plan_subnets(cidr, other_order)}
    assert {zone: all_of_them[zone] for zone in fewer} == fewer


@given(blocks(), zone_lists)
def test_nodes_have_room_for_pods_and_the_control_plane_for_its_interfaces(
    cidr: str, zones: list[str]
) -> None:
    for each in plan_subnets(cidr, zones):
        # An eighth of the VPC a zone; of the smallest VPC 507 addresses.
        assert IPv4Network(each.nodes).num_addresses == IPv4Network(cidr).num_addresses // 8
        assert IPv4Network(each.nodes).num_addresses - KEPT >= 500
        # EKS asks for six free addresses in each of its subnets, and recommends sixteen.
        assert IPv4Network(each.control_plane).num_addresses - KEPT >= 16


def test_a_zone_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"zone us-east-1g does not end in one of a, b, c, d, e, f"):
        zone_place("us-east-1g")


def test_places_follow_from_the_letter() -> None:
    assert [zone_place(zone) for zone in ALL_ZONES] == [0, 1, 2, 3, 4, 5]
