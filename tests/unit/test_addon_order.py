"""The order of installation: after every need, the same every time, and whole."""

from graphlib import CycleError
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.addon_catalogue import ADDON_NAMES, CATALOGUE, Unit, unit_named
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.addon_order import install_order, needs_of
from settings.addons import Addons

pytestmark = pytest.mark.unit

MOST: Final = 12


@st.composite
def catalogues(draw: st.DrawFn) -> list[Unit]:
    """Units in any order, each with needs among those of lower numbers, so that there is no circle; and with
    needs that are not there, as of what exists already.
    """
    count = draw(st.integers(0, MOST))
    units: list[Unit] = []
    for number in range(count):
        lower = st.lists(st.sampled_from(range(number)), unique=True) if number else st.just(list[int]())
        needs, after = draw(lower), draw(lower)
        gone = ["gone"] if draw(st.booleans()) else []
        units.append(
            Unit(
                name=f"u{number}",
                addon="keda",
                needs=dict.fromkeys([f"u{need}" for need in needs] + gone, "a reason"),
                after=tuple(f"u{other}" for other in after),
                # What it asks when it runs decides nothing here, though it leads the other way.
                uses={f"u{count - 1}": "a reason"},
            )
        )
    return draw(st.permutations(units))


def _levels(units: list[Unit]) -> dict[str, int]:
    """How many needs lie below each unit at most, one under the other."""
    by_name = {unit.name: unit for unit in units}

    def level(name: str) -> int:
        unit = by_name[name]
        below = [level(need) for need in {*unit.needs, *unit.after} if need in by_name]
        return max(below, default=-1) + 1

    return {name: level(name) for name in by_name}


def _names(units: list[Unit]) -> list[str]:
    return [unit.name for unit in units]


@given(catalogues())
def test_every_unit_comes_once_and_after_all_that_it_needs(units: list[Unit]) -> None:
    order = _names(install_order(units))
    assert sorted(order) == sorted(_names(units))
    place = {name: index for index, name in enumerate(order)}
    for unit in units:
        for need in {*unit.needs, *unit.after} & set(place):
            assert place[need] < place[unit.name]


@given(catalogues())
def test_units_of_one_level_stay_in_their_own_order(units: list[Unit]) -> None:
    levels = _levels(units)
    assert install_order(units) == sorted(units, key=lambda unit: levels[unit.name])


@given(catalogues(), st.data())
def test_the_order_given_moves_nothing_from_one_level_to_another(
    units: list[Unit], data: st.DataObject
) -> None:
    levels = _levels(units)
    one, other = install_order(units), install_order(data.draw(st.permutations(units)))
    assert [levels[unit.name] for unit in one] == [levels[unit.name] for unit in other]


@given(catalogues())
def test_what_is_in_order_already_stays_as_it_is(units: list[Unit]) -> None:
    order = install_order(units)
    assert install_order(order) == order


@given(catalogues())
def test_needs_of_a_unit_are_those_that_are_there_in_the_order_given(units: list[Unit]) -> None:
    for unit in units:
        assert needs_of(unit, units) == [
            other for other in units if other.name in unit.needs or other.name in unit.after
        ]


@given(st.integers(2, MOST), st.data())
def test_a_circle_of_any_size_has_no_order(size: int, data: st.DataObject) -> None:
    circle = [
        Unit(name=f"u{number}", addon="keda", needs={f"u{(number + 1) % size}": "a reason"})
        for number in range(size)
    ]
    beside = Unit(name="beside", addon="keda", after=("u0",))
    with pytest.raises(CycleError) as caught:
        install_order(data.draw(st.permutations([*circle, beside])))
    names: list[str] = caught.value.args[1]
    assert set(names) == set(_names(circle))
    # graphlib names each before the one that needs it.
    assert all(earlier in unit_named(later, tuple(circle)).needs for earlier, later in pairwise(names))


def test_nothing_has_an_order_too() -> None:
    assert install_order([]) == []


def test_a_need_through_what_is_not_managed_is_no_need() -> None:
    """`top` needs `middle`, `middle` needs `bottom`; where `middle` exists already, the others are free."""
    top = Unit(name="top", addon="keda", needs={"middle": "a reason"})
    middle = Unit(name="middle", addon="loki", needs={"bottom": "a reason"})
    bottom = Unit(name="bottom", addon="tempo")
    assert _names(install_order([top, middle, bottom])) == ["bottom", "middle", "top"]
    assert _names(install_order([top, bottom])) == ["top", "bottom"]


def test_the_real_catalogue_has_an_order_for_all_at_once() -> None:
    order = _names(install_order(CATALOGUE))
    assert sorted(order) == sorted(unit.name for unit in CATALOGUE)
    for earlier, later in (
        ("prometheus-definitions", "prometheus"),
        ("prometheus-definitions", "cert-manager"),
        ("cert-manager", "kserve"),
        ("istiod", "ztunnel"),
        ("gateway-api", "envoy-gateway"),
        ("cloudnative-pg", "cloudnative-pg-backups"),
        ("karpenter-definitions", "karpenter"),
    ):
        assert order.index(earlier) < order.index(later), (earlier, later)


def test_every_unit_has_a_name_and_a_namespace_and_a_setting_of_its_own() -> None:
    names = [unit.name for unit in CATALOGUE]
    assert len(set(names)) == len(names)
    assert set(ADDON_NAMESPACES) == set(names)
    assert {unit.addon for unit in CATALOGUE} == set(ADDON_NAMES) == set(Addons.model_fields)


@pytest.mark.parametrize("unit", CATALOGUE, ids=lambda unit: unit.name)
def test_a_unit_names_known_others_and_what_it_wants_them_for(unit: Unit) -> None:
    named = [*unit.needs, *unit.after, *unit.uses]
    assert set(named) <= {other.name for other in CATALOGUE}
    assert unit.name not in named
    # Said twice, one of the two would be wrong.
    assert len(set(named)) == len(named)
    assert all({**unit.needs, **unit.uses}.values())


def test_what_is_always_there_to_be_recognised_is_served_by_one_unit() -> None:
    served = [api for unit in CATALOGUE for api in unit.serves]
    assert len(set(served)) == len(served)
    assert all(api.count("/") == 1 for api in served)


def test_a_name_that_is_no_units_is_not_found() -> None:
    assert unit_named("kserve").addon == "kserve"
    with pytest.raises(KeyError, match=r"^'kserv'$"):
        unit_named("kserv")
