"""Quantities in the form the API server stores."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.quantities import canonical_cpu, canonical_memory

pytestmark = pytest.mark.unit

BYTES = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "": 1,
}


@pytest.mark.parametrize(
    ("given_", "stored"),
    [("4", "4"), ("4000m", "4"), ("0.5", "500m"), ("500m", "500m"), ("1.5", "1500m"), ("2.0", "2")],
)
def test_cpu_is_whole_cores_or_thousandths(given_: str, stored: str) -> None:
    assert canonical_cpu(given_) == stored


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("16Gi", "16Gi"),
        ("16384Mi", "16Gi"),
        ("1.5Gi", "1536Mi"),
        ("32G", "32G"),
        ("32000M", "32G"),
        ("1.5G", "1500M"),
        ("1024Ti", "1024Ti"),
    ],
)
def test_memory_has_the_largest_unit_that_divides_it(given_: str, stored: str) -> None:
    assert canonical_memory(given_) == stored


@given(amount=st.integers(1, 10_000), unit=st.sampled_from(["Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T"]))
def test_memory_stays_the_same_amount_and_is_stable(amount: int, unit: str) -> None:
    stored = canonical_memory(f"{amount}{unit}")
    digits = stored.rstrip("kKMGTi")
    assert int(digits) * BYTES[stored.removeprefix(digits)] == amount * BYTES[unit]
    assert canonical_memory(stored) == stored


@given(thousandths=st.integers(1, 10**6))
def test_cpu_stays_the_same_amount_and_is_stable(thousandths: int) -> None:
    stored = canonical_cpu(f"{thousandths}m")
    assert canonical_cpu(stored) == stored
    assert canonical_cpu(str(Decimal(thousandths) / 1000)) == stored


@pytest.mark.parametrize("text", ["", "Gi", "4x", "-1", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        canonical_memory(text)
    with pytest.raises(ValueError, match="not a quantity"):
        canonical_cpu(text)
