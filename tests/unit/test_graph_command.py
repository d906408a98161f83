"""The order of installation, from made-up resources: levels, arrows, critical path, and how they are written and drawn."""

import io
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from ops import graph as command
from ops.critical_path import CHART_TYPE
from ops.graph import DrawingError, as_json, critical_path_text, show
from ops.graph_svg import drawing
from ops.installation_order import InstallationOrder, installation_order
from ops.layered_layout import BOX, layout
from ops.program_graph import ProgramGraph

pytestmark = pytest.mark.unit

STACK: Final = "pulumi:pulumi:Stack"
SVG: Final = "{http://www.w3.org/2000/svg}"
Node = dict[str, Any]


def _node(name: str, type_: str, *needs: str, parent: str = "stack", provider: str = "") -> Node:
    custom = not type_.startswith("vllm-platform:") and type_ not in {STACK, CHART_TYPE}
    fields: Node = {"urn": name, "name": name.rpartition("/")[2], "type": type_, "parent": parent}
    return fields | {"provider": provider, "dependencies": list(needs), "custom": custom}


def _component(
    name: str, *needs: str, inside: int = 1, kind: str = "Thing", provider: str = ""
) -> list[Node]:
    """Make a component with a chain of resources, of which the first waits for `needs`."""
    nodes = [_node(name, f"vllm-platform:test:{kind}")]
    for index in range(inside):
        before = (f"{name}/r{index - 1}",) if index else needs
        nodes.append(_node(f"{name}/r{index}", "aws:x:Y", *before, parent=name, provider=provider))
    return nodes


def _order(*components: list[Node]) -> InstallationOrder:
    return installation_order([_node("stack", STACK, parent=""), *(n for nodes in components for n in nodes)])


def _levels(order: InstallationOrder) -> list[list[str]]:
    return as_json(order)["levels"]


def diamond() -> InstallationOrder:
    """network, then cluster beside bucket, then model; the network is what takes longest."""
    return _order(
        _component("network", inside=3),
        _component("cluster", "network", inside=2),
        _component("bucket", "network"),
        _component("model", "cluster", "bucket", "network"),
    )


def circle() -> InstallationOrder:
    """left and right each have a resource that waits for one of the other's; both are between base and after."""
    left = _component("left", "base")
    right = _component("right", "base")
    left.append(_node("left/late", "aws:x:Y", "right/r0", parent="left"))
    right.append(_node("right/late", "aws:x:Y", "left/r0", parent="right"))
    return _order(_component("base"), left, right, _component("after", "left/late", "right/late"))


class TestLevels:
    def test_a_component_is_on_the_level_after_the_last_that_it_waits_for(self) -> None:
        assert _levels(diamond()) == [["network"], ["bucket", "cluster"], ["model"]]

    def test_what_waits_for_nothing_is_on_the_first_level(self) -> None:
        assert _levels(_order(_component("b"), _component("a"))) == [["a", "b"]]

    def test_a_stack_of_nothing_has_no_level(self) -> None:
        assert _levels(_order()) == []

    def test_who_waits_for_a_provider_waits_for_what_the_provider_waits_for(self) -> None:
        order = _order(
            _component("cluster"),
            [_node("kubernetes", "pulumi:providers:kubernetes", "cluster/r0")],
            _component("namespace", provider="kubernetes"),
        )
        assert _levels(order) == [["cluster"], ["namespace"]]
        assert order.edges == (("cluster", "namespace"),)

    def test_the_order_of_registration_does_not_matter(self) -> None:
        nodes = [n for name in "abcdefg" for n in _component(name, *(["a"] if name != "a" else []))]
        shuffled = random.Random(7).sample(nodes, len(nodes))  # noqa: S311 - no secret
        assert _order(shuffled) == _order(nodes)

    def test_two_that_wait_for_each_other_share_a_level(self) -> None:
        assert _levels(circle()) == [["base"], ["left", "right"], ["after"]]

    def test_two_components_of_one_name_are_told_apart_by_their_kind(self) -> None:
        chart, pool = _component("karpenter", kind="Chart"), _component("karpenter", kind="Pool")
        for node in pool:
            node["urn"] = f"other-{node['urn']}"
            node["parent"] = node["parent"].replace("karpenter", "other-karpenter")
        assert _levels(_order(chart, pool)) == [["karpenter (Chart)", "karpenter (Pool)"]]

    def test_resources_are_counted_at_any_depth(self) -> None:
        inner = _node("outer/inner", "vllm-platform:test:Inner", parent="outer")
        deep = _node("outer/deep", "aws:x:Y", parent="outer/inner")
        chart = _node("outer/chart", CHART_TYPE, parent="outer")
        (one,) = _order([*_component("outer"), inner, deep, chart]).components
        assert one.resources == 3


class TestArrows:
    def test_what_follows_from_other_arrows_is_left_out(self) -> None:
        assert set(diamond().edges) == {
            ("network", "bucket"),
            ("network", "cluster"),
            ("bucket", "model"),
            ("cluster", "model"),
        }

    def test_what_follows_over_several_steps_is_left_out_too(self) -> None:
        chain = [_component(name, *before) for name, before in zip("abcd", ["", "a", "b", "ac"], strict=True)]
        assert _order(*chain).edges == (("a", "b"), ("b", "c"), ("c", "d"))

    def test_of_two_that_wait_for_each_other_neither_stands_for_the_other(self) -> None:
        between = {("left", "right"), ("right", "left")}
        around = {("base", "left"), ("base", "right"), ("left", "after"), ("right", "after")}
        assert set(circle().edges) == between | around

    def test_a_step_of_the_critical_path_is_never_left_out(self) -> None:
        """`late` waits for the end of `long`; by way of `short` it would wait for its beginning only."""
        order = _order(
            _component("long", inside=5),
            _component("short", "long/r0"),
            _component("late", "long/r4", "short"),
        )
        assert order.critical_components == ("long", "late")
        assert ("long", "late") in order.edges


class TestCriticalPath:
    def test_it_is_the_longest_chain_of_resources_and_the_components_that_it_leads_through(self) -> None:
        order = diamond()
        assert order.critical_components == ("network", "cluster", "model")
        assert order.critical_resources == ("r0", "r1", "r2", "r0", "r1", "r0")

    def test_providers_count_as_resources_and_are_no_components(self) -> None:
        provider = _node("aws", "pulumi:providers:aws")
        order = _order([provider], _component("network", inside=2, provider="aws"))
        assert order.critical_resources == ("aws", "r0", "r1")
        assert order.critical_components == ("network",)
        assert critical_path_text(order) == "critical path: 3 resources, 1 of them a provider: network (2)"

    def test_the_line_says_how_much_of_it_is_in_which_component(self) -> None:
        text = "critical path: 6 resources: network (3) -> cluster (2) -> model (1)"
        assert critical_path_text(diamond()) == text


class TestText:
    def _shown(self, order: InstallationOrder) -> list[list[str]]:
        page = io.StringIO()
        show(order, "s", Console(width=150, file=page))
        lines = page.getvalue().splitlines()
        return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]

    def test_a_row_says_level_needs_and_size_of_a_component(self) -> None:
        assert self._shown(diamond()) == [
            ["1", "network", "Thing", "-", "yes", "3"],
            ["2", "bucket", "Thing", "network", "", "1"],
            ["", "cluster", "Thing", "network", "yes", "2"],
            ["3", "model", "Thing", "bucket, cluster", "yes", "1"],
        ]

    def test_a_name_in_brackets_is_no_markup(self) -> None:
        ((_, name, *_),) = self._shown(_order(_component("[red]")))
        assert name == "[red]"


def _parsed(order: InstallationOrder, title: str = "stack s: what waits for what") -> ET.Element:
    return ET.fromstring(drawing(order, title))  # noqa: S314 - our own text


def _classed(root: ET.Element, tag: str, word: str) -> list[ET.Element]:
    return [e for e in root.iter(f"{SVG}{tag}") if word in e.get("class", "").split()]


class TestDrawing:
    def test_every_component_is_drawn_once_with_its_name_and_kind(self) -> None:
        boxes = _classed(_parsed(diamond()), "g", "component")
        texts = [[text.text for text in box.iter(f"{SVG}text")] for box in boxes]
        assert sorted(texts, key=str) == [
            ["bucket", "Thing, 1"],
            ["cluster", "Thing, 2"],
            ["model", "Thing, 1"],
            ["network", "Thing, 3"],
        ]

    def test_the_arrows_are_the_edges(self) -> None:
        order = diamond()
        drawn = [(e.get("data-from"), e.get("data-to")) for e in _classed(_parsed(order), "path", "arrow")]
        assert sorted(drawn, key=str) == list(order.edges)

    def test_the_critical_path_is_marked_on_boxes_and_arrows(self) -> None:
        root = _parsed(diamond())
        boxes = [e.get("data-name") for e in _classed(root, "g", "critical")]
        arrows = [(e.get("data-from"), e.get("data-to")) for e in _classed(root, "path", "critical")]
        assert sorted(map(str, boxes)) == ["cluster", "model", "network"]
        assert arrows == [("cluster", "model"), ("network", "cluster")]

    def test_the_critical_path_lies_on_top(self) -> None:
        """`a` is drawn early and `z` late by their names; what is drawn last covers the rest."""
        order = _order(
            _component("a", inside=2), _component("b", "a/r1"), _component("z"), _component("y", "z/r0")
        )
        last = _classed(_parsed(order), "path", "arrow")[-1]
        assert (last.get("data-from"), last.get("data-to")) == ("a", "b")

    def test_the_critical_path_has_a_colour_of_its_own(self) -> None:
        lines = _classed(_parsed(diamond()), "path", "arrow")
        colours = {critical: set[str | None]() for critical in (True, False)}
        for line in lines:
            colours["critical" in line.get("class", "")].add(line.get("stroke"))
        assert len(colours[True]) == len(colours[False]) == 1
        assert colours[True] != colours[False]

    def test_names_are_escaped(self) -> None:
        root = _parsed(_order(_component('<b a="1">&')), title="a < b & c")
        assert [e.get("data-name") for e in _classed(root, "g", "component")] == ['<b a="1">&']
        assert root.findtext(f"{SVG}title") == "a < b & c"

    def test_it_needs_nothing_from_elsewhere(self) -> None:
        text = drawing(diamond(), "t")
        assert "href" not in text
        assert "<script" not in text
        assert text.count("://") == 1  # the name of the format
        assert text.count("url(") == text.count("url(#")

    def test_it_lies_on_paper_of_its_own(self) -> None:
        root = _parsed(diamond())
        paper = next(root.iter(f"{SVG}rect"))
        assert (paper.get("width"), paper.get("height")) == (root.get("width"), root.get("height"))
        assert paper.get("fill")

    def test_columns_are_levels_from_left_to_right(self) -> None:
        order = diamond()
        left = {
            str(box.get("data-name")): float(str(next(box.iter(f"{SVG}rect")).get("x")))
            for box in _classed(_parsed(order), "g", "component")
        }
        by_level = [{left[name] for name in level} for level in _levels(order)]
        assert [len(places) for places in by_level] == [1, 1, 1]
        assert min(left.values()) in by_level[0]
        assert all(max(one) < min(other) for one, other in pairwise(by_level))

    def test_the_same_order_gives_the_same_bytes(self) -> None:
        assert drawing(diamond(), "t") == drawing(diamond(), "t")

    def test_nothing_and_one_can_be_drawn_too(self) -> None:
        for order in (_order(), _order(_component("alone"))):
            assert len(_classed(_parsed(order), "g", "component")) == len(order.components)

    def test_two_that_wait_for_each_other_are_joined_by_bows(self) -> None:
        ways = {
            (e.get("data-from"), e.get("data-to")): e for e in _classed(_parsed(circle()), "path", "arrow")
        }
        assert all("C" in ways[pair].get("d", "") for pair in (("left", "right"), ("right", "left")))


class TestLayout:
    def _wide(self) -> tuple[list[list[str]], list[tuple[str, str]]]:
        """Sixty boxes in ten columns, each with arrows to boxes in later columns."""
        chance = random.Random(3)  # noqa: S311 - no secret
        levels = [[f"c{column}-{row}" for row in range(6)] for column in range(10)]
        edges = {
            (name, chance.choice(levels[chance.randrange(column + 1, 10)]))
            for column, names in enumerate(levels[:-1])
            for name in names
            for _ in range(2)
        }
        return levels, sorted(edges)

    def test_no_box_lies_on_another(self) -> None:
        levels, edges = self._wide()
        places = layout(levels, edges)
        for column, names in enumerate(levels):
            middles = sorted(places[name, column] for name in names)
            assert min(low - high for high, low in pairwise(middles)) >= BOX - 0.2

    def test_no_line_runs_through_a_box(self) -> None:
        levels, edges = self._wide()
        places = layout(levels, edges)
        lines = {slot: place for slot, place in places.items() if slot[0] not in levels[slot[1]]}
        assert lines
        for (_, column), place in lines.items():
            assert min(abs(place - places[name, column]) for name in levels[column]) >= BOX / 2

    def test_what_has_no_need_to_cross_does_not(self) -> None:
        levels = [["a", "b", "c"], ["x", "y", "z"]]
        places = layout(levels, [("a", "z"), ("b", "y"), ("c", "x")])
        assert places["a", 0] == places["z", 1]
        assert places["b", 0] == places["y", 1]

    def test_a_chain_is_a_straight_line_beside_whatever_else(self) -> None:
        levels = [["a", "p", "q"], ["b"], ["c", "r"]]
        places = layout(levels, [("a", "b"), ("b", "c"), ("p", "r"), ("q", "r")])
        assert places["b", 1] == pytest.approx(places["c", 2], abs=1)


class TestCommand:
    @pytest.fixture
    def program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stands in for a run of the program."""
        nodes = [_node("stack", STACK, parent=""), *_component("base"), *_component("model", "base")]
        recorded = ProgramGraph(resources=tuple(nodes), outputs={}, warnings=("old key",))

        def made_up(*_: object) -> ProgramGraph:
            return recorded

        monkeypatch.setattr(command, "program_graph", made_up)

    @pytest.mark.usefixtures("program")
    def test_json_is_levels_edges_and_critical_path(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        warnings = command.graph("s", tmp_path, svg=tmp_path / "s.svg", output="json")
        assert json.loads(capsys.readouterr().out) == {
            "levels": [["base"], ["model"]],
            "edges": [["base", "model"]],
            "critical_path": {"components": ["base", "model"], "resources": ["r0", "r0"]},
        }
        assert warnings == ("old key",)

    @pytest.mark.usefixtures("program")
    def test_text_ends_with_the_place_of_the_picture(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        command.graph("s", tmp_path, svg=tmp_path / "s.svg")
        assert capsys.readouterr().out.splitlines()[-1] == f"picture: {tmp_path / 's.svg'}"
        assert ET.fromstring((tmp_path / "s.svg").read_text()).tag == f"{SVG}svg"  # noqa: S314 - our own text

    def test_a_file_of_another_ending_is_refused_before_the_program_runs(self, tmp_path: Path) -> None:
        with pytest.raises(DrawingError, match=r"name a file that ends in \.svg"):
            command.graph("no-such-stack", tmp_path, svg=tmp_path / "Pulumi.prod.yaml")

    def test_a_folder_that_is_not_there_is_refused_before_the_program_runs(self, tmp_path: Path) -> None:
        with pytest.raises(DrawingError, match="there is no folder"):
            command.graph("no-such-stack", tmp_path, svg=tmp_path / "none" / "s.svg")

    @pytest.mark.usefixtures("program")
    def test_a_place_that_can_not_be_written_is_one_message(self, tmp_path: Path) -> None:
        (tmp_path / "s.svg").mkdir()
        with pytest.raises(DrawingError, match="can not be written"):
            command.graph("s", tmp_path, svg=tmp_path / "s.svg")
