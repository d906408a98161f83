"""`vp prices refresh`: both price lists, asked of AWS and written with today's date.

Asks the AWS Price List Query API (GetProducts), which needs the right `pricing:GetProducts` and changes nothing. Nothing is
written before every answer is there.
"""

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ops.preflight_checks.aws import Aws, NoAnswerError
from ops.prices.queries import CURRENCY, LIST_REGION, PRODUCTS, QUERIES, NoPriceError, Query, instance_query
from rehearsal.errors import UserError
from settings.facts import Prices, instances, prices, regions
from settings.price_list import ServicePrices, service_prices

SOURCE: Final = "AWS Price List Query API (GetProducts), asked by `vp prices refresh`"


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """changed: prices that are others than before, in words. missing: instance types that a region's list does not have."""

    files: tuple[Path, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]


def refresh(
    folder: Path, more: Sequence[str], today: dt.date, say: Callable[[str], object], aws: Aws | None = None
) -> Refreshed:
    """Ask for every price in the regions of the lists and in `more`, and write the files in `folder`.

    say: is told what is asked. Raises UserError where AWS does not answer, or has not one price for a thing.
    """
    unknown = [region for region in more if region not in regions()]
    if unknown:
        raise UserError(f"no region of AWS is called {', '.join(unknown)}.")
    wanted = tuple(dict.fromkeys((*prices().on_demand, *service_prices().regions, *more)))
    asking = aws or Aws(LIST_REGION)
    missing: list[str] = []
    hourly: dict[str, dict[str, float]] = {}
    beside: dict[str, dict[str, float]] = {}
    for region in wanted:
        hourly[region] = {}
        for name in instances():
            say(f"{region}: {name}")
            price = _price(asking, instance_query(name), region, name, may_lack=True)
            if price is None:
                missing.append(f"{name} in {region}")
            else:
                hourly[region][name] = price
        beside[region] = {}
        for item, query in QUERIES.items():
            say(f"{region}: {item}")
            found = _price(asking, query, region, item, may_lack=False)
            beside[region][item] = cast("float", found)
    head = {"date": today, "source": SOURCE, "currency": CURRENCY}
    listed = Prices.model_validate({**head, "on_demand": hourly})
    services = ServicePrices.model_validate({**head, "regions": beside})
    changed = (
        *_changes(prices().on_demand, listed.on_demand),
        *_changes(service_prices().regions, services.regions),
    )
    files = (
        _write(folder / Prices.FILE, {**head, "on_demand": hourly}),
        _write(folder / ServicePrices.FILE, {**head, "regions": beside}),
    )
    return Refreshed(files=files, changed=changed, missing=tuple(missing))


def _price(aws: Aws, query: Query, region: str, what: str, *, may_lack: bool) -> float | None:
    """Return one price; None where there is no product and none need be. Raises UserError."""
    try:
        answers = aws.ask(PRODUCTS, **query.parameters(region))["PriceList"]
        return None if may_lack and not answers else query.price(answers)
    except NoAnswerError as error:
        raise UserError(f"AWS can not be asked: {error.found}\nfix: {error.fix}") from None
    except NoPriceError as error:
        raise UserError(
            f"the list has not one price of {what} in {region}: {error}; nothing was written\n"
            "fix: compare ops/prices/queries.py with what the list has now"
        ) from None


def _changes(
    before: Mapping[str, Mapping[Any, float]], after: Mapping[str, Mapping[Any, float]]
) -> tuple[str, ...]:
    return tuple(
        f"{region}, {name}: {before.get(region, {}).get(name, 'new')} -> {price}"
        for region, found in after.items()
        for name, price in found.items()
        if before.get(region, {}).get(name) != price
    )


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a data file whole, or not at all. What is said above its first key stays."""
    head: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if not line.startswith("#"):
            break
        head.append(line)
    text = "\n".join([*head, yaml.safe_dump(dict(content), sort_keys=False, width=120)])
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
