"""Kubernetes quantities in the one form the API server stores.

KServe's defaulting webhook writes every quantity back in canonical form ("4000m" becomes "4"). An object
that says the same amount in other words would differ from the live one at every `pulumi up`.
"""

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
MILLICORES_PER_CORE: Final = 1000


def canonical_cpu(quantity: str) -> str:
    """Write cores as "4" where they are whole, else as thousandths of a core, "1500m". Raises ValueError."""
    amount, unit = _split(quantity)
    if unit not in {"", "m"}:
        raise _unreadable(quantity)
    thousandths = int(amount if unit == "m" else amount * MILLICORES_PER_CORE)
    cores, rest = divmod(thousandths, MILLICORES_PER_CORE)
    return f"{thousandths}m" if rest else str(cores)


def canonical_memory(quantity: str) -> str:
    """Write bytes with the largest unit that divides them, binary or decimal as given. Raises ValueError."""
    amount, unit = _split(quantity)
    units = _BINARY if unit in _BINARY else _DECIMAL
    if unit not in units:
        raise _unreadable(quantity)
    size = int(amount * units[unit])
    for name, factor in sorted(units.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{name}"
    return str(size)


def _split(quantity: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise _unreadable(quantity)
    return Decimal(match[1]), match[2]


def _unreadable(quantity: str) -> ValueError:
    return ValueError(f"not a quantity: {quantity!r}")
