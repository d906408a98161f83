"""Times of a day, as cron expressions in a time zone: exactly what KEDA's parser takes, so that nothing fails on the cluster."""

import re
from functools import cache
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import AfterValidator

from settings.base import refusal
from settings.structure import suggest

_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Name, lowest, highest, names instead of numbers. A week begins with 0, Sunday; 7 is refused by the parser.
_FIELDS: Final[tuple[tuple[str, int, int, tuple[str, ...]], ...]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_PART: Final = re.compile(r"(?P<first>[*?]|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_EXAMPLE: Final = '"0 8 * * 1-5" (8:00 from Monday to Friday)'


def _cron_time(value: str) -> str:
    parts = value.split()
    if len(parts) != len(_FIELDS):
        raise refusal(
            f"a time has five parts (minute, hour, day of the month, month, day of the week), this one {len(parts)}",
            f"write a time such as {_EXAMPLE}",
        )
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        if not all(_holds(item, low, high, names) for item in part.split(",")):
            raise refusal(
                f"{part!r} is no {name}",
                f"write *, numbers from {low} to {high}, ranges and steps: {_EXAMPLE}",
            )
    return " ".join(parts)


def _holds(item: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    """Tell whether one item of a list is a value, a range or either with a step."""
    match = _PART.fullmatch(item)
    if match is None or match["step"] == "0":
        return False
    if match["first"] in {"*", "?"}:
        return match["last"] is None
    first, last = (_number(match[key], low, names) for key in ("first", "last"))
    if match["last"] is None:
        return first is not None and low <= first <= high
    return first is not None and last is not None and low <= first <= last <= high


def _number(text: str | None, low: int, names: tuple[str, ...]) -> int | None:
    if text is None:
        return None
    if text.upper() in names:
        return names.index(text.upper()) + low
    return int(text) if text.isascii() and text.isdecimal() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time_zone(value: str) -> str:
    # A machine without a database of time zones can not tell: the cluster's own decides.
    if _zones() and value not in _zones():
        raise refusal(
            "not the name of a time zone",
            f"{suggest(value, _zones())}write a name of the IANA database, e.g. 'Europe/Berlin' or 'UTC'",
        )
    return value


CronTime = Annotated[str, AfterValidator(_cron_time)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
