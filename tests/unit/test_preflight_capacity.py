"""Quotas and reservations: counted right, and each able to go missing. The answers are botocore's own shapes."""

from datetime import timedelta
from typing import Any

import pytest

from ops.preflight_checks.calls import DEFAULT_QUOTA, QUOTA, RESERVATIONS
from ops.preflight_checks.quotas import VCPU_QUOTAS, most_nodes, quota_of, quotas
from ops.preflight_checks.reservations import reservations
from settings import Settings, facts
from settings.network import SingleNat
from settings.pools import CapacityBlock, OnDemandCapacity, ReservedCapacity, SpotCapacity
from tests.unit.preflight_stubs import NOW, Stubs, findings_of, only_pools, prod, with_cluster, with_pool

pytestmark = pytest.mark.unit

STANDARD, G, P, SPOT_G, ADDRESSES = "L-1216C47A", "L-DB2E81BA", "L-417A185B", "L-3819A6DF", "L-0263D0A3"
RESERVATION = "cr-0123456789abcdef0"


@pytest.fixture
def stubs() -> Stubs:
    """AWS as a test says that it is."""
    return Stubs()


def quota(stubs: Stubs, code: str, value: float) -> None:
    stubs.answers(
        QUOTA, {"Quota": {"QuotaCode": code, "Value": value}}, {"ServiceCode": "ec2", "QuotaCode": code}
    )


def code_of(subject: str) -> str:
    return subject.rpartition("(")[2].rstrip(")")


class TestQuotas:
    @pytest.fixture
    def a10(self) -> Settings:
        """Prod with 21 nodes of 8 vCPU, and nothing else."""
        return only_pools(prod(), "a10")

    def test_prod_is_counted_by_class_and_market_at_its_largest(self, stubs: Stubs) -> None:
        for code in (STANDARD, G, P, SPOT_G, ADDRESSES):
            quota(stubs, code, 10_000)
        found = findings_of(quotas, prod(), stubs)
        assert {code_of(subject): one.needed for subject, one in found.items()} == {
            STANDARD: "120 vCPU: system 3 x 8, platform 6 x 16",
            G: "192 vCPU: a10 24 x 8",
            P: "96 vCPU: a100 1 x 96",
            SPOT_G: "48 vCPU: a10-spot 6 x 8",
            ADDRESSES: "2 addresses, for NAT gateways",
        }
        assert {one.status for one in found.values()} == {"ok"}

    def test_a_quota_that_is_just_enough_is_enough(self, a10: Settings, stubs: Stubs) -> None:
        quota(stubs, G, 192.0)
        quota(stubs, ADDRESSES, 2)
        assert {one.status for one in findings_of(quotas, a10, stubs).values()} == {"ok"}

    def test_a_quota_that_is_one_too_small_is_missing_with_the_request_as_fix(
        self, a10: Settings, stubs: Stubs
    ) -> None:
        quota(stubs, G, 167.0)
        quota(stubs, ADDRESSES, 1)
        vcpu, addresses = findings_of(quotas, a10, stubs).values()
        assert (vcpu.status, vcpu.found) == ("missing", "167 vCPU")
        assert vcpu.fix
        assert f"--quota-code {G} --desired-value 192 --region us-east-1" in vcpu.fix
        assert (addresses.status, addresses.found) == ("missing", "1 addresses")

    def test_a_quota_that_nobody_raised_is_the_default(self, a10: Settings, stubs: Stubs) -> None:
        stubs.refuses(QUOTA, "NoSuchResourceException")
        stubs.answers(DEFAULT_QUOTA, {"Quota": {"QuotaCode": G, "Value": 0.0}})
        quota(stubs, ADDRESSES, 5)
        assert next(iter(findings_of(quotas, a10, stubs).values())).found == "0 vCPU"

    def test_a_quota_that_may_not_be_asked_is_unknown_and_names_the_right(
        self, a10: Settings, stubs: Stubs
    ) -> None:
        stubs.refuses(QUOTA, "AccessDeniedException")
        quota(stubs, ADDRESSES, 5)
        vcpu, _ = findings_of(quotas, a10, stubs).values()
        assert (vcpu.status, vcpu.fix) == ("unknown", "allow servicequotas:GetServiceQuota to the caller")

    def test_one_gateway_for_all_zones_needs_one_address(self, a10: Settings, stubs: Stubs) -> None:
        network = a10.cluster.network.model_copy(update={"nat": SingleNat(kind="single")})  # type: ignore[union-attr]
        quota(stubs, G, 192)
        quota(stubs, ADDRESSES, 1)
        found = findings_of(quotas, with_cluster(a10, network=network), stubs)
        assert {one.status for one in found.values()} == {"ok"}

    def test_a_managed_pool_needs_a_node_more_while_it_is_updated(self) -> None:
        system, platform = (pool for pool in prod().pools if pool.name in {"system", "platform"})
        assert (system.max, most_nodes(system)) == (2, 3)
        assert (platform.max, most_nodes(platform)) == (6, 6)

    def test_reserved_capacity_counts_and_a_capacity_block_does_not(self, stubs: Stubs) -> None:
        reserved = only_pools(prod(), "a100")
        quota(stubs, P, 96)
        quota(stubs, ADDRESSES, 2)
        assert len(findings_of(quotas, reserved, stubs)) == 2
        block = CapacityBlock(kind="capacity-block", reservation=RESERVATION)
        quota(stubs, ADDRESSES, 2)
        assert len(findings_of(quotas, with_pool(reserved, "a100", capacity=block), stubs)) == 1

    def test_a_pool_that_may_have_no_node_needs_no_quota(self, a10: Settings, stubs: Stubs) -> None:
        quota(stubs, ADDRESSES, 2)
        assert len(findings_of(quotas, with_pool(a10, "a10", max=0), stubs)) == 1

    def test_every_known_instance_type_counts_against_one_quota_of_either_market(self) -> None:
        pool = only_pools(prod(), "a10").pools[0]
        codes = {
            name: [
                known.code
                if (known := quota_of(pool.model_copy(update={"instance_type": name, "capacity": market})))
                else None
                for market in (OnDemandCapacity(kind="on-demand"), SpotCapacity(kind="spot"))
            ]
            for name in facts.instances()
        }
        assert codes["c6i.2xlarge"] == codes["m6i.xlarge"] == [STANDARD, "L-34B43A08"]
        assert codes["g4dn.xlarge"] == codes["g6e.2xlarge"] == [G, SPOT_G]
        assert codes["p3.2xlarge"] == codes["p4de.24xlarge"] == [P, "L-7212CCBC"]
        assert codes["p5.48xlarge"] == [P, "L-C4BD4855"]
        assert not [name for name, both in codes.items() if None in both]

    def test_a_family_of_no_known_quota_is_unknown(
        self, a10: Settings, stubs: Stubs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ops.preflight_checks.quotas.VCPU_QUOTAS", ())
        quota(stubs, ADDRESSES, 2)
        found = findings_of(quotas, a10, stubs)["pool a10"]
        assert (found.status, found.needed) == ("unknown", "192 vCPU")
        assert "g5.2xlarge with capacity on-demand" in found.found

    def test_no_code_stands_for_two_quotas(self) -> None:
        assert len({quota.code for quota in VCPU_QUOTAS}) == len(VCPU_QUOTAS)


class TestReservations:
    @pytest.fixture
    def a100(self) -> Settings:
        return only_pools(prod(), "a100")

    def finding(self, settings: Settings, stubs: Stubs, **changes: Any) -> Any:  # noqa: ANN401
        reservation: dict[str, Any] = {
            "CapacityReservationId": RESERVATION,
            "State": "active",
            "InstanceType": "p4d.24xlarge",
            "AvailabilityZone": "us-east-1a",
            "InstancePlatform": "Linux/UNIX",
            "TotalInstanceCount": 1,
            "EndDateType": "unlimited",
        }
        reservation = {key: value for key, value in {**reservation, **changes}.items() if value is not None}
        stubs.answers(
            RESERVATIONS, {"CapacityReservations": [reservation]}, {"CapacityReservationIds": [RESERVATION]}
        )
        (found,) = findings_of(reservations, settings, stubs).values()
        return found

    def test_one_that_fits_is_ok(self, a100: Settings, stubs: Stubs) -> None:
        found = self.finding(a100, stubs)
        assert (found.status, found.found) == ("ok", "active, 1 x p4d.24xlarge in us-east-1a")

    @pytest.mark.parametrize(
        ("changes", "trouble"),
        [
            ({"InstanceType": "p4de.24xlarge"}, "it is of p4de.24xlarge, not p4d.24xlarge"),
            ({"AvailabilityZone": "us-east-1b"}, "it is in us-east-1b, pool a100 in us-east-1a"),
            ({"TotalInstanceCount": 0}, "it is for 0 instances, 1 are needed"),
            ({"State": "expired"}, "it is expired"),
            ({"InstancePlatform": "Windows"}, "it is of platform Windows"),
            ({"ReservationType": "capacity-block"}, "it is of capacity kind capacity-block"),
            ({"EndDate": NOW + timedelta(days=13)}, "it ends 2026-12-06, in less than 14 days"),
            (
                {"State": "scheduled", "StartDate": NOW + timedelta(days=2)},
                "it is scheduled, it begins 2026-11-25 12:00 UTC",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_one_that_does_not_fit_is_missing(
        self, changes: dict[str, Any], trouble: str, a100: Settings, stubs: Stubs
    ) -> None:
        found = self.finding(a100, stubs, **changes)
        assert found.status == "missing"
        assert trouble in found.found

    def test_all_that_is_wrong_with_one_is_told_at_once(self, a100: Settings, stubs: Stubs) -> None:
        found = self.finding(
            a100, stubs, State="expired", AvailabilityZone="us-east-1b", TotalInstanceCount=0
        )
        assert found.found.count(";") == 2

    def test_one_that_ends_in_14_days_is_ok(self, a100: Settings, stubs: Stubs) -> None:
        found = self.finding(a100, stubs, EndDate=NOW + timedelta(days=14))
        assert (found.status, found.found[-16:]) == ("ok", "until 2026-12-07")

    @pytest.mark.parametrize(("days", "status"), [(1, "ok"), (-1, "missing")])
    def test_a_capacity_block_need_only_be_running(
        self, days: int, status: str, a100: Settings, stubs: Stubs
    ) -> None:
        block = CapacityBlock(kind="capacity-block", reservation=RESERVATION)
        pools = with_pool(a100, "a100", capacity=block)
        found = self.finding(
            pools, stubs, ReservationType="capacity-block", EndDate=NOW + timedelta(days=days)
        )
        assert found.status == status

    def test_pools_of_one_reservation_share_it(self, a100: Settings, stubs: Stubs) -> None:
        shared = ReservedCapacity(kind="reserved", reservation=RESERVATION)
        second = a100.pools[0].model_copy(update={"name": "a100-two", "max": 2, "capacity": shared})
        both = a100.model_copy(update={"pools": (*a100.pools, second)})
        found = self.finding(both, stubs, TotalInstanceCount=2)
        assert (found.status, found.needed) == ("missing", "3 x p4d.24xlarge for pool a100, pool a100-two")

    def test_one_that_is_not_there_is_missing(self, a100: Settings, stubs: Stubs) -> None:
        stubs.refuses(RESERVATIONS, "InvalidCapacityReservationId.NotFound")
        (found,) = findings_of(reservations, a100, stubs).values()
        assert (found.status, found.found) == ("missing", "the account has no such reservation in us-east-1")

    def test_one_that_may_not_be_asked_is_unknown(self, a100: Settings, stubs: Stubs) -> None:
        stubs.refuses(RESERVATIONS, "UnauthorizedOperation", status=403)
        (found,) = findings_of(reservations, a100, stubs).values()
        assert (found.status, found.fix) == (
            "unknown",
            "allow ec2:DescribeCapacityReservations to the caller",
        )

    def test_pools_without_one_ask_nothing(self, stubs: Stubs) -> None:
        assert findings_of(reservations, only_pools(prod(), "a10", "a10-spot"), stubs) == {}
