"""The longest chain of resources that wait for each other."""

from graphlib import CycleError
from typing import Any

import pytest

from ops.critical_path import CHART_TYPE, critical_path, direct_waits


def _node(
    name: str,
    *needs: str,
    parent: str = "",
    custom: bool = True,
    provider: str = "",
    type_: str = "a:b:Thing",
) -> dict[str, Any]:
    return {
        "urn": name,
        "name": name,
        "type": type_,
        "parent": parent,
        "provider": provider,
        "dependencies": needs,
        "custom": custom,
    }


def _names(*nodes: dict[str, Any]) -> list[str]:
    return [node["name"] for node in critical_path(nodes)]


def test_it_is_the_longest_chain() -> None:
    assert _names(_node("a"), _node("b", "a"), _node("c", "b"), _node("x", "a")) == ["a", "b", "c"]


def test_a_provider_is_waited_for_with_all_that_it_waits_for() -> None:
    assert _names(_node("cluster"), _node("provider", "cluster"), _node("pod", provider="provider")) == [
        "cluster",
        "provider",
        "pod",
    ]


def test_who_waits_for_a_component_waits_for_what_is_in_it() -> None:
    inside = [
        _node("group", custom=False),
        _node("first", parent="group"),
        _node("last", "first", parent="group"),
    ]
    assert _names(*inside, _node("after", "group")) == ["first", "last", "after"]


def test_what_is_in_a_component_waits_for_what_the_component_waits_for() -> None:
    group = _node("group", "before", custom=False)
    assert _names(_node("before"), group, _node("child", parent="group")) == ["before", "child"]


def test_a_rendered_chart_is_one_resource_though_nothing_of_its_inside_is_seen() -> None:
    """A component of another language: its inside is made by the provider, not by the program."""
    group = _node("group", custom=False)
    chart = _node("chart", "before", parent="group", custom=False, type_=CHART_TYPE)
    nodes = [_node("before"), group, chart, _node("after", "group")]
    assert _names(*nodes) == ["before", "chart", "after"]
    assert direct_waits(nodes)["after"] == {"chart"}


def test_a_circle_is_an_error() -> None:
    with pytest.raises(CycleError):
        critical_path([_node("a", "b"), _node("b", "a")])


def test_nothing_has_no_path() -> None:
    assert critical_path([]) == []
