"""The order of installation as a picture: an SVG file without scripts, styles from elsewhere or fonts of its own.

Columns are levels, from left to right as time goes. The same order gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ops.installation_order import Component, InstallationOrder
from ops.layered_layout import BOX, Slot, layout

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK: Final = "#1f2328"
FAINT: Final = "#59636e"
PLAIN: Final = "#818b98"
CRITICAL: Final = "#cf222e"
CRITICAL_FILL: Final = "#ffebe9"
# The picture brings its own paper, so that it reads as well on a dark page.
PAPER: Final = "#ffffff"
BAND: Final = "#f3f5f7"

# Pixels.
MARGIN: Final = 20.0
HEAD: Final = 104.0
"""Title, subtitle and the names of the columns."""
LEGEND: Final = 76.0
LEAST_WIDTH: Final = 900.0
"""The legend's."""
BOX_HEIGHT: Final = 38.0
GAP: Final = 56.0
"""Between columns: room for the bends of the lines, and some more for each of many."""
GAP_PER_LINE: Final = 1.5
MOST_GAP: Final = 120.0
PADDING: Final = 12.0
NAME_SIZE: Final = 13
KIND_SIZE: Final = 11
LETTER: Final = 0.66
"""Width of a letter by the size of its font; few sans-serif fonts are wider on average, even in bold."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    left: float
    width: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def drawing(order: InstallationOrder, title: str) -> str:
    """Return the picture as the text of an SVG file."""
    places = layout([[one.name for one in level] for level in order.levels], order.edges)
    middles = {slot: HEAD + 10 + place for slot, place in places.items()}
    column_of = {one.name: one.level - 1 for one in order.components}
    columns = _columns(order, column_of)
    bottom = max(middles.values(), default=HEAD) + BOX / 2 + 6
    right = columns[-1].right + PADDING + MARGIN if columns else 0.0
    svg = _canvas(max(LEAST_WIDTH, right), bottom + LEGEND, title, _subtitle(order))
    for number, column in enumerate(columns, start=1):
        _band(svg, number, column, bottom)
    # The critical path last, so that it lies on top.
    for edge in sorted(order.edges, key=lambda edge: (edge in order.critical_edges, edge)):
        way = _way(edge, column_of, columns, middles)
        _arrow(svg, edge, way, critical=edge in order.critical_edges)
    for one in order.components:
        _box(svg, one, order, columns[one.level - 1], middles[one.name, one.level - 1])
    _legend(svg, bottom + 22)
    indent(svg, space=" ")
    return tostring(svg, encoding="unicode") + "\n"


def _subtitle(order: InstallationOrder) -> str:
    resources = sum(one.resources for one in order.components)
    return (
        f"{len(order.components)} components with {resources} resources in {len(order.levels)} levels; "
        f"the critical path is {len(order.critical_resources)} resources long"
    )


def _columns(order: InstallationOrder, column_of: Mapping[str, int]) -> list[_Column]:
    columns: list[_Column] = []
    left = MARGIN + PADDING
    for index, level in enumerate(order.levels):
        letters = max(max(len(one.name) * NAME_SIZE, len(_kind(one)) * KIND_SIZE) for one in level)
        columns.append(_Column(left=left, width=round(letters * LETTER + 2 * PADDING, 1)))
        lines = sum(column_of[first] <= index < column_of[then] for first, then in order.edges)
        left = columns[-1].right + min(MOST_GAP, GAP + GAP_PER_LINE * lines)
    return columns


def _kind(one: Component) -> str:
    return f"{one.kind}, {one.resources}"


def _canvas(width: float, height: float, title: str, subtitle: str) -> Element:
    size = {"width": _number(width), "height": _number(height)}
    view = f"0 0 {size['width']} {size['height']}"
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "viewBox": view, "role": "img"})
    svg.set("font-family", FONT)
    SubElement(svg, "title").text = title
    SubElement(svg, "desc").text = subtitle
    definitions = SubElement(svg, "defs")
    for name, colour in (("arrow", PLAIN), ("critical-arrow", CRITICAL)):
        marker = {"id": name, "viewBox": "0 0 8 8", "refX": "7.5", "refY": "4", "orient": "auto"}
        marker |= {"markerWidth": "8", "markerHeight": "8", "markerUnits": "userSpaceOnUse"}
        SubElement(
            SubElement(definitions, "marker", marker), "path", {"d": "M0,0.5L8,4L0,7.5z", "fill": colour}
        )
    SubElement(svg, "rect", {**size, "fill": PAPER})
    _text(svg, title, MARGIN, 36, size=20, weight="600")
    _text(svg, subtitle, MARGIN, 58, size=NAME_SIZE, fill=FAINT)
    return svg


def _band(svg: Element, number: int, column: _Column, bottom: float) -> None:
    """Draw a level's heading and the ground below its boxes."""
    place = {
        "x": _number(column.left - PADDING),
        "y": _number(HEAD - 28),
        "width": _number(column.width + 2 * PADDING),
        "height": _number(bottom - HEAD + 28),
    }
    SubElement(svg, "rect", {**place, "rx": "8", "fill": BAND})
    _text(svg, f"level {number}", column.middle, HEAD - 8, size=12, fill=FAINT, anchor="middle")


def _way(
    edge: tuple[str, str],
    column_of: Mapping[str, int],
    columns: Sequence[_Column],
    middles: Mapping[Slot, float],
) -> str:
    """Return the line from the right side of a box to the left side of another, through the slots between them."""
    first, then = edge
    start, end = column_of[first], column_of[then]
    x, y = columns[start].right, middles[first, start]
    steps = [f"M{_number(x)},{_number(y)}"]
    if start == end:  # two that wait for each other: a bow at their side
        reach, other = x + GAP / 2, middles[then, end]
        return f"{steps[0]}C{_number(reach)},{_number(y)} {_number(reach)},{_number(other)} {_number(x)},{_number(other)}"
    for index in range(start + 1, end + 1):
        name = then if index == end else first
        column, middle = columns[index], middles[name, index]
        bend = (x + column.left) / 2
        steps.append(
            f"C{_number(bend)},{_number(y)} {_number(bend)},{_number(middle)} {_number(column.left)},{_number(middle)}"
        )
        if index < end:
            steps.append(f"H{_number(column.right)}")
        x, y = column.right, middle
    return "".join(steps)


def _arrow(svg: Element, edge: tuple[str, str], way: str, *, critical: bool) -> None:
    line = SubElement(
        svg, "path", {"class": "critical arrow" if critical else "arrow", "d": way, "fill": "none"}
    )
    line.set("data-from", edge[0])
    line.set("data-to", edge[1])
    _stroke(line, critical=critical)


def _stroke(line: Element, *, critical: bool) -> None:
    line.set("stroke", CRITICAL if critical else PLAIN)
    line.set("stroke-width", "2.5" if critical else "1.2")
    line.set("marker-end", f"url(#{'critical-' if critical else ''}arrow)")


def _box(svg: Element, one: Component, order: InstallationOrder, column: _Column, middle: float) -> None:
    critical = one.name in order.critical_components
    group = SubElement(svg, "g", {"class": "critical component" if critical else "component"})
    group.set("data-name", one.name)
    SubElement(group, "title").text = f"{one.name} waits for {', '.join(order.needs(one.name)) or 'nothing'}"
    _frame(group, column.left, middle, column.width, critical=critical)
    _text(group, one.name, column.middle, middle - 3, size=NAME_SIZE, weight="600", anchor="middle")
    _text(group, _kind(one), column.middle, middle + 12, size=KIND_SIZE, fill=FAINT, anchor="middle")


def _frame(parent: Element, left: float, middle: float, width: float, *, critical: bool) -> None:
    frame = {"x": _number(left), "y": _number(middle - BOX_HEIGHT / 2)}
    frame |= {"width": _number(width), "height": _number(BOX_HEIGHT), "rx": "5"}
    frame |= {"fill": CRITICAL_FILL if critical else PAPER, "stroke": CRITICAL if critical else PLAIN}
    SubElement(parent, "rect", {**frame, "stroke-width": "2" if critical else "1"})


def _legend(svg: Element, top: float) -> None:
    legend = SubElement(svg, "g", {"class": "legend"})
    rows = (
        (
            False,
            "from what must be there first to what waits for it; what follows from other arrows is left out",
        ),
        (
            True,
            "the critical path: the longest chain of resources that wait for each other, and their components",
        ),
    )
    for index, (critical, meaning) in enumerate(rows):
        y = top + 18 * index
        line = SubElement(legend, "path", {"d": f"M{_number(MARGIN)},{_number(y - 4)}h40", "fill": "none"})
        _stroke(line, critical=critical)
        _text(legend, meaning, MARGIN + 52, y, size=12)
    what = "In a box: name, kind, number of resources. What is in one column can go on at once. Providers are left out."
    _text(legend, what, MARGIN, top + 36, size=12)


def _text(
    parent: Element,
    text: str,
    x: float,
    y: float,
    *,
    size: int,
    fill: str = INK,
    weight: str = "400",
    anchor: str = "start",
) -> None:
    attributes = {"x": _number(x), "y": _number(y), "font-size": str(size), "fill": fill}
    attributes |= {"font-weight": weight, "text-anchor": anchor}
    SubElement(parent, "text", attributes).text = text


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
