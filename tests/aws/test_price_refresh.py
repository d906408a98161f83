"""`vp prices refresh` against a server on loopback that speaks as AWS's price list does; AWS itself is not asked here."""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.preflight_checks import aws
from ops.prices.queries import QUERIES
from ops.prices.refresh import Refreshed, refresh
from rehearsal.errors import UserError
from settings.facts import Prices, instances
from settings.price_list import ITEMS, ServicePrices
from tests.aws.price_list_server import PriceList, product, serving

pytestmark = pytest.mark.aws

TODAY = dt.date(2026, 11, 28)
OTHER = "eu-west-1"
# Attributes of an instance on demand, as in EC2's products.
ON_DEMAND = {
    "productFamily": "Compute Instance",
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "licenseModel": "No License required",
    "capacitystatus": "Used",
}


def services(region: str, prefix: str, factor: float) -> Iterator[dict[str, Any]]:
    """The products of one region beside its instances, and what lies beside them on the real list."""

    def one(service: str, usage: str, price: float, **attributes: str) -> dict[str, Any]:
        return product(service, f"{prefix}{usage}", {"0": price * factor}, regionCode=region, **attributes)

    nat = {"productFamily": "NAT Gateway"}
    balancer = {"productFamily": "Load Balancer-Application", "locationType": "AWS Region"}
    disk = {"volumeApiName": "gp3"}
    yield one("AmazonEKS", "AmazonEKS-Hours:perCluster", 0.2, productFamily="Compute")
    yield one("AmazonEKS", "AmazonEKS-Hours:extendedSupport", 0.9, productFamily="Compute")
    yield one("AmazonEC2", "EBS:VolumeUsage.gp3", 0.09, productFamily="Storage", **disk)
    yield one("AmazonEC2", "EBS:VolumeP-Throughput.gp3", 51.2, productFamily="Provisioned Throughput", **disk)
    yield one("AmazonEC2", "NatGateway-Hours", 0.05, **nat)
    yield one("AmazonEC2", "NatGateway-Bytes", 0.06, **nat)
    yield one("AmazonVPC", "PublicIPv4:InUseAddress", 0.007)
    yield one("AmazonVPC", "PublicIPv4:IdleAddress", 0.008)
    yield one("AmazonVPC", "VpcEndpoint-Hours", 0.02, productFamily="VpcEndpoint")
    yield one("AWSELB", "LoadBalancerUsage", 0.03, **balancer)
    yield one("AWSELB", "LCUUsage", 0.009, **balancer)
    yield one("AmazonEFS", "TimedStorage-ByteHrs", 0.4, storageClass="General Purpose")
    yield one("AmazonEFS", "IATimedStorage-ByteHrs", 0.02, storageClass="General Purpose")
    yield product(
        "AmazonS3",
        f"{prefix}TimedStorage-ByteHrs",
        {"0": 0.03 * factor, "51200": 0.02 * factor},
        regionCode=region,
        volumeType="Standard",
    )
    yield one("awswaf", "WebACLV2", 6)
    yield one("awswaf", "ShieldProtected-WebACLV2", 0.5)
    yield one("awswaf", "RuleV2", 2)
    yield one("awswaf", "RequestV2-Tier1", 0.0000007)
    yield one("awskms", "KMS-Keys", 2, productFamily="Encryption Key")
    yield one("AWSSecretsManager", "AWSSecretsManager-Secrets", 0.5, productFamily="Secret")
    yield one("AmazonCloudWatch", "DataProcessing-Bytes", 0.6, productFamily="Data Payload")
    yield one("AmazonCloudWatch", "DataProcessingIA-Bytes", 0.3, productFamily="Data Payload")


def everything() -> Iterator[dict[str, Any]]:
    for region, prefix, factor in (("us-east-1", "", 1.0), (OTHER, "EU-", 2.0)):
        yield from services(region, prefix, factor)
        for index, name in enumerate(instances()):
            # The second region lacks one type.
            if (region, name) != (OTHER, "p5.48xlarge"):
                kept = {"instanceType": name, "regionCode": region, **ON_DEMAND}
                yield product("AmazonEC2", f"{prefix}BoxUsage:{name}", {"0": (index + 1) * factor}, **kept)
                yield product("AmazonEC2", f"{prefix}UnusedBox:{name}", {"0": 99.0}, **kept)
    yield product("AmazonCloudFront", "US-DataTransfer-Out-Bytes", {"0": 0.09, "10240": 0.08})
    yield product("AmazonCloudFront", "EU-DataTransfer-Out-Bytes", {"0": 0.07})
    yield product("AmazonCloudFront", "US-Requests-Tier2-HTTPS", {"0": 0.000002})


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    with serving() as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        server.products = list(everything())
        yield server


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    for name in ("prices.yaml", "service_prices.yaml"):
        shutil.copy(root / "settings" / "data" / name, tmp_path / name)
    return tmp_path


def asked(folder: Path, *regions: str) -> Refreshed:
    return refresh(folder, regions, TODAY, lambda _: None, aws.Aws("us-east-1"))


def test_every_price_is_asked_for() -> None:
    assert set(QUERIES) == set(ITEMS)


def test_both_files_are_written_with_todays_date_and_can_be_read(listed: PriceList, folder: Path) -> None:
    done = asked(folder, OTHER)
    assert listed.asked
    prices = Prices.model_validate(yaml.safe_load((folder / "prices.yaml").read_text(encoding="utf-8")))
    found = ServicePrices.model_validate(
        yaml.safe_load((folder / "service_prices.yaml").read_text(encoding="utf-8"))
    )
    assert (prices.date, found.date) == (TODAY, TODAY)
    assert "GetProducts" in prices.source
    expected = {name: float(index + 1) for index, name in enumerate(instances())}
    assert prices.on_demand["us-east-1"] == expected
    assert found.regions["us-east-1"] == {
        "cluster_hour": 0.2,
        "gp3_gib_month": 0.09,
        "gp3_mib_second_month": 0.05,
        "nat_hour": 0.05,
        "nat_gib": 0.06,
        "public_ipv4_hour": 0.007,
        "endpoint_hour": 0.02,
        "balancer_hour": 0.03,
        "balancer_unit_hour": 0.009,
        "efs_gib_month": 0.4,
        "s3_gib_month": 0.03,
        "firewall_month": 6,
        "firewall_rule_month": 2,
        "firewall_million_requests": 0.7,
        "cdn_gib": 0.09,
        "cdn_million_requests": 2,
        "key_month": 2,
        "secret_month": 0.5,
        "log_gib": 0.6,
    }
    assert found.regions[OTHER]["nat_hour"] == 0.1
    assert done.missing == (f"p5.48xlarge in {OTHER}",)
    assert "us-east-1, nat_hour: 0.045 -> 0.05" in done.changed


def test_what_is_said_above_a_file_stays(listed: PriceList, folder: Path) -> None:
    head = (folder / "prices.yaml").read_text(encoding="utf-8").split("date:")[0]
    asked(folder)
    assert listed.asked
    assert (folder / "prices.yaml").read_text(encoding="utf-8").startswith(head)


@pytest.mark.parametrize("usage", ["NatGateway-Hours", "KMS-Keys"])
def test_a_price_that_is_not_there_writes_nothing(listed: PriceList, folder: Path, usage: str) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    listed.products = [
        one for one in listed.products if not one["product"]["attributes"]["usagetype"].endswith(usage)
    ]
    with pytest.raises(UserError, match="no price; nothing was written"):
        asked(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_two_prices_of_one_thing_are_an_error_and_no_choice(listed: PriceList, folder: Path) -> None:
    listed.products.append(
        product(
            "AmazonEC2", "NatGateway-Hours", {"0": 0.06}, productFamily="NAT Gateway", regionCode="us-east-1"
        )
    )
    with pytest.raises(UserError, match=r"several prices: \[0.05, 0.06\]"):
        asked(folder)


def test_a_region_that_is_none_is_refused_before_anything_is_asked(listed: PriceList, folder: Path) -> None:
    with pytest.raises(UserError, match="no region of AWS is called us-north-9"):
        asked(folder, "us-north-9")
    assert listed.asked == []
