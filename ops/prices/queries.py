"""What is asked of AWS's price list for each price, and how its one figure is found among what comes back.

The list answers with products: each has attributes, among them a usage type such as `EUC1-NatGateway-Hours` (in the oldest
region without what stands before the first dash), and terms with a price for each span of use. Product families and usage
types are those that infracost asks for (infracost/infracost 95ba4f4, internal/resources/aws).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.preflight_checks.calls import Call
from settings.price_list import Item

PRODUCTS: Final = Call(
    service="pricing", operation="get_products", action="pricing:GetProducts", paged="PriceList"
)
LIST_REGION: Final = "us-east-1"
"""One of the few regions that answer; each has the prices of all."""
CURRENCY: Final = "USD"
_MILLION: Final = 1_000_000
_INSTANCE: Final = {
    "productFamily": "Compute Instance",
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "licenseModel": "No License required",
    "capacitystatus": "Used",
}


class NoPriceError(Exception):
    """The list does not have one price for this: none, or several."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """usage: what the usage type ends in, a regular expression. units: so many of the list's units are one of ours.

    everywhere: one price for the world, under no region's name.
    """

    service: str
    usage: str
    filters: Mapping[str, str] = field(default_factory=dict[str, str])
    units: float = 1.0
    everywhere: bool = False

    def parameters(self, region: str) -> dict[str, Any]:
        """Return what GetProducts is called with."""
        asked = {**self.filters, **({} if self.everywhere else {"regionCode": region})}
        filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in asked.items()]
        return {"ServiceCode": self.service, "FormatVersion": "aws_v1", "Filters": filters}

    def price(self, answers: Iterable[str]) -> float:
        """Return the price of one of our units. Raises NoPriceError."""
        wanted = re.compile(rf"(?:^|.*-)(?:{self.usage})$")
        found = {
            price
            for product in map(_product, answers)
            if wanted.match(product["product"]["attributes"].get("usagetype", ""))
            for price in _first_prices(product)
        }
        if len(found) != 1:
            raise NoPriceError("no price" if not found else f"several prices: {sorted(found)}")
        # What is billed by the million has figures that a binary fraction does not hold.
        return round(found.pop() * self.units, 9)


QUERIES: Final[Mapping[Item, Query]] = {
    "cluster_hour": Query(
        service="AmazonEKS", usage="AmazonEKS-Hours:perCluster", filters={"productFamily": "Compute"}
    ),
    "gp3_gib_month": Query(
        service="AmazonEC2",
        usage=r"EBS:VolumeUsage\.gp3",
        filters={"productFamily": "Storage", "volumeApiName": "gp3"},
    ),
    # The list has GiB a second.
    "gp3_mib_second_month": Query(
        service="AmazonEC2",
        usage=r"EBS:VolumeP-Throughput\.gp3",
        filters={"productFamily": "Provisioned Throughput", "volumeApiName": "gp3"},
        units=1 / 1024,
    ),
    "nat_hour": Query(
        service="AmazonEC2", usage="NatGateway-Hours", filters={"productFamily": "NAT Gateway"}
    ),
    "nat_gib": Query(service="AmazonEC2", usage="NatGateway-Bytes", filters={"productFamily": "NAT Gateway"}),
    "public_ipv4_hour": Query(service="AmazonVPC", usage="PublicIPv4:InUseAddress"),
    "endpoint_hour": Query(
        service="AmazonVPC", usage="VpcEndpoint-Hours", filters={"productFamily": "VpcEndpoint"}
    ),
    "balancer_hour": Query(
        service="AWSELB",
        usage="LoadBalancerUsage",
        filters={"productFamily": "Load Balancer-Application", "locationType": "AWS Region"},
    ),
    "balancer_unit_hour": Query(
        service="AWSELB",
        usage="LCUUsage",
        filters={"productFamily": "Load Balancer-Application", "locationType": "AWS Region"},
    ),
    "efs_gib_month": Query(
        service="AmazonEFS", usage="TimedStorage-ByteHrs", filters={"storageClass": "General Purpose"}
    ),
    "s3_gib_month": Query(
        service="AmazonS3", usage="TimedStorage-ByteHrs", filters={"volumeType": "Standard"}
    ),
    "firewall_month": Query(service="awswaf", usage="(?<!ShieldProtected-)WebACLV2"),
    "firewall_rule_month": Query(service="awswaf", usage="(?<!ShieldProtected-)RuleV2"),
    "firewall_million_requests": Query(
        service="awswaf", usage="(?<!ShieldProtected-)RequestV2-Tier1", units=_MILLION
    ),
    "cdn_gib": Query(service="AmazonCloudFront", usage="US-DataTransfer-Out-Bytes", everywhere=True),
    "cdn_million_requests": Query(
        service="AmazonCloudFront", usage="US-Requests-Tier2-HTTPS", units=_MILLION, everywhere=True
    ),
    "key_month": Query(service="awskms", usage="KMS-Keys", filters={"productFamily": "Encryption Key"}),
    "secret_month": Query(
        service="AWSSecretsManager",
        usage="AWSSecretsManager-Secrets?",
        filters={"productFamily": "Secret"},
    ),
    "log_gib": Query(
        service="AmazonCloudWatch", usage="DataProcessing-Bytes", filters={"productFamily": "Data Payload"}
    ),
}
"""By what has a price of its own."""


def instance_query(instance_type: str) -> Query:
    """Return what is asked for an hour of an instance type, on demand."""
    return Query(
        service="AmazonEC2",
        usage=re.escape(f"BoxUsage:{instance_type}"),
        filters={**_INSTANCE, "instanceType": instance_type},
    )


def _product(answer: str) -> dict[str, Any]:
    """Read one entry of the list: JSON in a text. Raises NoPriceError for what is none."""
    try:
        read: dict[str, Any] = json.loads(answer)
        read["product"]["attributes"].get("usagetype", "")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise NoPriceError(f"an entry that is no product: {error}") from None
    return read


def _first_prices(product: Mapping[str, Any]) -> Iterator[float]:
    """Yield prices on demand, of the first unit on."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for span in term.get("priceDimensions", {}).values():
            price = float(span.get("pricePerUnit", {}).get(CURRENCY, 0))
            if span.get("beginRange", "0") == "0" and price > 0:
                yield price
