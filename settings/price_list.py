"""What things cost: two dated lists, of instances and of the services beside them."""

import datetime as dt
from functools import cache
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field

from settings.facts import PriceList, Prices, prices, read

Item = Literal[
    "cluster_hour",
    "gp3_gib_month",
    "gp3_mib_second_month",
    "nat_hour",
    "nat_gib",
    "public_ipv4_hour",
    "endpoint_hour",
    "balancer_hour",
    "balancer_unit_hour",
    "efs_gib_month",
    "s3_gib_month",
    "firewall_month",
    "firewall_rule_month",
    "firewall_million_requests",
    "cdn_gib",
    "cdn_million_requests",
    "key_month",
    "secret_month",
    "log_gib",
]
"""What has a price of its own. The last words of a name are the unit: an hour, a GiB, a month, a GiB for a month."""
ITEMS: Final[tuple[Item, ...]] = get_args(Item)
Price = Annotated[float, Field(gt=0)]


class ServicePrices(PriceList):
    """List prices of services by region."""

    FILE: ClassVar[str] = "service_prices.yaml"

    regions: dict[str, dict[Item, Price]]

    def price(self, item: Item, region: str) -> float | None:
        """Return what one unit costs, or None where no list price is known."""
        return self.regions.get(region, {}).get(item)


@cache
def service_prices() -> ServicePrices:
    """Return the list prices of services."""
    return ServicePrices.model_validate(read(ServicePrices.FILE))


def price_warnings(
    today: dt.date, instances: Prices | None = None, services: ServicePrices | None = None
) -> list[str]:
    """Say of each list that is old that it is. The lists are the project's own unless others are given."""
    lists: tuple[PriceList, ...] = (instances or prices(), services or service_prices())
    return [warning for each in lists if (warning := each.warning(today))]
