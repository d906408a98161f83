"""The order of installation: from the needs, the same every time, as short as they allow."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.addon_catalogue import ADDON_NAMES, CATALOGUE, Unit, unit_named
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.addon_order import install_order, needs_of
from settings.addons import Addons

pytestmark = pytest.mark.unit


def _unit(name: str, needs: Sequence[str] = (), after: Sequence[str] = ()) -> Unit:
    return Unit(name=name, addon=name, needs=dict.fromkeys(needs, "it"), after=tuple(after))


@st.composite
def _catalogues(draw: st.DrawFn) -> list[Unit]:
    """Units that need some of those before them, in any order."""
    units: list[Unit] = []
    for index in range(draw(st.integers(0, 8))):
        names = [unit.name for unit in units]
        some = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        units.append(_unit(f"u{index}", some[:1], some[1:]))
    return draw(st.permutations(units))


class TestOrder:
    @given(_catalogues())
    def test_each_comes_after_what_it_needs(self, units: list[Unit]) -> None:
        seen: set[str] = set()
        for unit in install_order(units):
            assert {*unit.needs, *unit.after} <= seen
            seen.add(unit.name)
        assert seen == {unit.name for unit in units}

    def test_what_does_not_depend_on_each_other_keeps_its_place(self) -> None:
        assert [u.name for u in install_order([_unit("b"), _unit("a"), _unit("c")])] == ["b", "a", "c"]

    def test_what_is_not_among_them_is_not_waited_for(self) -> None:
        alone = _unit("a", ["not-here"], ["neither"])
        assert install_order([alone]) == [alone]
        assert needs_of(alone, [alone]) == []

    def test_what_it_only_uses_has_no_place_in_the_order(self) -> None:
        first, second = replace(_unit("a"), uses={"b": "its answers"}), _unit("b")
        assert install_order([first, second]) == [first, second]

    def test_a_circle_is_told_with_its_names(self) -> None:
        with pytest.raises(CycleError) as caught:
            install_order([_unit("a", ["b"]), _unit("b", [], ["c"]), _unit("c", ["a"])])
        assert set(caught.value.args[1]) == {"a", "b", "c"}


class TestCatalogue:
    def test_every_need_is_of_a_unit_that_there_is(self) -> None:
        names = {unit.name for unit in CATALOGUE}
        for unit in CATALOGUE:
            assert {*unit.needs, *unit.after, *unit.uses} <= names, unit.name
            assert unit.name not in {*unit.needs, *unit.after, *unit.uses}

    def test_all_of_it_has_an_order_whatever_the_rows_stand(self) -> None:
        rows = list(CATALOGUE)
        random.Random(7).shuffle(rows)  # noqa: S311 - a shuffle, not a secret
        place = {unit.name: index for index, unit in enumerate(install_order(rows))}
        assert all(
            place[need] < place[unit.name] for unit in CATALOGUE for need in (*unit.needs, *unit.after)
        )

    def test_names_are_there_once_and_are_found(self) -> None:
        assert len({unit.name for unit in CATALOGUE}) == len(CATALOGUE)
        assert all(unit_named(unit.name) is unit for unit in CATALOGUE)
        with pytest.raises(KeyError):
            unit_named("nothing")

    def test_every_unit_has_a_namespace_and_every_add_on_a_setting(self) -> None:
        assert set(ADDON_NAMESPACES) == {unit.name for unit in CATALOGUE}
        assert set(ADDON_NAMES) == set(Addons.model_fields)

    @pytest.mark.parametrize("unit", CATALOGUE, ids=lambda unit: unit.name)
    def test_apis_are_a_group_and_a_version(self, unit: Unit) -> None:
        for api in unit.serves:
            group, _, version = api.partition("/")
            assert "." in group
            assert version.startswith("v")

    def test_a_need_says_what_for(self) -> None:
        purposes: list[Mapping[str, str]] = [mapping for u in CATALOGUE for mapping in (u.needs, u.uses)]
        assert all(purpose for mapping in purposes for purpose in mapping.values())

    def test_definitions_wait_for_no_node(self) -> None:
        assert [u.name for u in CATALOGUE if u.name.endswith("-definitions") and (u.runs or u.volumes)] == []
