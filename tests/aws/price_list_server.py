"""A server on loopback that answers GetProducts as the AWS Price List Query API does: JSON 1.1, filters, pages.

The form of requests and answers is botocore's service model (pricing, 2017-10-15), which the client under test checks
them by; that of a product is the documented example's: JSON in a text, terms by offer, prices by span of use. Its products
are made up, with figures that no real list has.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

from tests import loopback

PAGE = 2


def product(
    service: str, usage: str, prices: dict[str, float], *, unit: str = "Hrs", **attributes: str
) -> dict[str, Any]:
    """One product. prices: by the first unit of the span that they are for."""
    family = attributes.pop("productFamily", "")
    sku = f"SKU{abs(hash((service, usage, str(sorted(attributes.items()))))):X}"[:16]
    dimensions: dict[str, Any] = {
        f"{sku}.JRTCKXETXF.{begin}": {
            "rateCode": f"{sku}.JRTCKXETXF.{begin}",
            "unit": unit,
            "beginRange": begin,
            "endRange": "Inf",
            "description": f"${price} per {unit}",
            "appliesTo": [],
            "pricePerUnit": {"USD": f"{price:.10f}"},
        }
        for begin, price in prices.items()
    }
    return {
        "product": {
            "productFamily": family,
            "sku": sku,
            "attributes": {"servicecode": service, "usagetype": usage, **attributes},
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {f"{sku}.JRTCKXETXF": {"sku": sku, "priceDimensions": dimensions}},
            # Another term, which nothing may take for the price.
            "Reserved": {
                f"{sku}.4NA7Y494T4": {"priceDimensions": {"x": {"pricePerUnit": {"USD": "0.0001"}}}}
            },
        },
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
    }


class PriceList:
    """What the server has, and what it was asked."""

    def __init__(self) -> None:
        self.products: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.address = ""

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return one page of what every filter lets through."""
        self.asked.append(asked)
        found = [
            json.dumps(one)
            for one in self.products
            if one["serviceCode"] == asked["ServiceCode"]
            and all(_matches(one, each) for each in asked["Filters"])
        ]
        begin = int(asked.get("NextToken", 0))
        page = {"FormatVersion": asked["FormatVersion"], "PriceList": found[begin : begin + PAGE]}
        return {**page, "NextToken": str(begin + PAGE)} if begin + PAGE < len(found) else page


def _matches(one: dict[str, Any], each: dict[str, str]) -> bool:
    assert each["Type"] == "TERM_MATCH"
    where = one["product"]
    return each["Value"] == (
        where["productFamily"] if each["Field"] == "productFamily" else where["attributes"].get(each["Field"])
    )


@contextmanager
def serving() -> Generator[PriceList]:
    """Serve a price list on loopback."""
    listed = PriceList()

    class Handler(loopback.Quiet):
        there: ClassVar[PriceList] = listed

        def do_POST(self) -> None:  # noqa: N802 - the name is the library's
            assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(self.there.answer(json.loads(body))).encode()
            self.write(200, answer, "application/x-amz-json-1.1")

    with loopback.serving(Handler) as listed.address:
        yield listed
