"""Where the boxes of a layered drawing go: columns by level, few crossings, arrows as straight as they can be.

The classical way (Sugiyama, Tagawa and Toda, 1981): arrows over several columns get a slot in each column that they pass,
columns are put in order by the mean place of their neighbours, then moved up and down. The same input gives the
same numbers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

Slot = tuple[str, int]
"""A name and a column: the box in the name's own column, in a later one its arrows on their way through. They share one line."""
Columns = list[list[Slot]]
Links = Mapping[Slot, Sequence[Slot]]

BOX: Final = 46.0
"""Height of a slot with a box, with the room below it."""
LINE: Final = 16.0
"""Height of a slot of a line."""
SWEEPS: Final = 24
"""Enough for sixty boxes: the number of crossings falls no further after a dozen."""
_STRAIGHT: Final = 4.0
"""How much more a bend in the middle of a line costs than one at its end."""


def layout(levels: Sequence[Sequence[str]], edges: Iterable[tuple[str, str]]) -> dict[Slot, float]:
    """Return the middle of each slot, from 0 down. Columns count from 0; edges inside of a column need no slot."""
    column_of = {name: column for column, names in enumerate(levels) for name in names}
    forward, backward = _links(edges, column_of)
    columns: Columns = [[(name, column) for name in names] for column, names in enumerate(levels)]
    for slot in sorted({*forward, *backward}):
        if slot not in columns[slot[1]]:
            columns[slot[1]].append(slot)
    return _places(_ordered(columns, forward, backward), column_of, forward, backward)


def _links(
    edges: Iterable[tuple[str, str]], column_of: Mapping[str, int]
) -> tuple[dict[Slot, list[Slot]], dict[Slot, list[Slot]]]:
    """Return the neighbours of each slot in the next column, and in the one before."""
    pairs: set[tuple[Slot, Slot]] = set()
    for first, then in edges:
        way = [(first, column) for column in range(column_of[first], column_of[then])]
        pairs |= set(pairwise([*way, (then, column_of[then])]))
    forward: defaultdict[Slot, list[Slot]] = defaultdict(list)
    backward: defaultdict[Slot, list[Slot]] = defaultdict(list)
    for left, right in sorted(pairs):
        forward[left].append(right)
        backward[right].append(left)
    return dict(forward), dict(backward)


def _ordered(columns: Columns, forward: Links, backward: Links) -> Columns:
    """Return the columns in the order with the fewest crossings that was found."""
    best, fewest = columns, _crossings(columns, forward)
    for sweep in range(SWEEPS):
        there = sweep % 2 == 0
        indices = range(1, len(columns)) if there else range(len(columns) - 2, -1, -1)
        columns = list(columns)
        for index in indices:
            beside = columns[index - 1 if there else index + 1]
            columns[index] = _by_neighbours(columns[index], beside, backward if there else forward)
        columns = _switched(columns, forward)
        if (crossings := _crossings(columns, forward)) < fewest:
            best, fewest = columns, crossings
    return best


def _by_neighbours(column: list[Slot], beside: list[Slot], links: Links) -> list[Slot]:
    place = {slot: index / max(1, len(beside) - 1) for index, slot in enumerate(beside)}
    own = {slot: index / max(1, len(column) - 1) for index, slot in enumerate(column)}
    return sorted(column, key=lambda slot: _mean([place[one] for one in links.get(slot, [])], own[slot]))


def _switched(columns: Columns, forward: Links) -> Columns:
    """Exchange neighbours in a column as long as that takes a crossing away."""
    columns = [list(column) for column in columns]
    for index, column in enumerate(columns):
        around = columns[max(0, index - 1) : index + 2]
        before = _crossings(around, forward)
        for upper in range(len(column) - 1):
            column[upper], column[upper + 1] = column[upper + 1], column[upper]
            if (after := _crossings(around, forward)) < before:
                before = after
            else:
                column[upper], column[upper + 1] = column[upper + 1], column[upper]
    return columns


def _crossings(columns: Sequence[list[Slot]], forward: Links) -> int:
    count = 0
    for left, right in pairwise(columns):
        place = {slot: index for index, slot in enumerate(right)}
        ends = [[place[one] for one in forward.get(slot, []) if one in place] for slot in left]
        count += sum(low > high for upper, lower in combinations(ends, 2) for low in upper for high in lower)
    return count


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _places(
    columns: Columns, column_of: Mapping[str, int], forward: Links, backward: Links
) -> dict[Slot, float]:
    """Move the slots of each column towards their neighbours, in their order and without touching."""

    def is_box(slot: Slot) -> bool:
        return column_of[slot[0]] == slot[1]

    def weight(one: Slot, other: Slot) -> float:
        return (1.0 if is_box(one) else _STRAIGHT) * (1.0 if is_box(other) else _STRAIGHT)

    heights = {slot: BOX if is_box(slot) else LINE for column in columns for slot in column}
    middle: dict[Slot, float] = {}
    for column in columns:
        top = -sum(heights[slot] for slot in column) / 2
        for slot in column:
            middle[slot] = top + heights[slot] / 2
            top += heights[slot]
    for sweep in range(4 * SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted: list[tuple[float, float]] = []
            for slot in column:
                pulls = [(middle[one], weight(slot, one)) for one in _around(slot, forward, backward)]
                total = sum(pull for _, pull in pulls)
                mean = sum(place * pull for place, pull in pulls) / total if total else middle[slot]
                wanted.append((mean, total or 0.1))
            middle |= zip(column, _apart(wanted, [heights[slot] for slot in column]), strict=True)
    top = min((middle[slot] - heights[slot] / 2 for slot in middle), default=0.0)
    return {slot: round(place - top, 1) for slot, place in middle.items()}


def _around(slot: Slot, forward: Links, backward: Links) -> list[Slot]:
    return [*backward.get(slot, []), *forward.get(slot, [])]


def _apart(wanted: Sequence[tuple[float, float]], heights: Sequence[float]) -> list[float]:
    """Return the places nearest to the wanted ones (place, weight) at which no slot lies on the next.

    Slots that would overlap move as one block to their mean; what is nearest in squares comes out.
    """
    offsets = [0.0]
    for upper, lower in pairwise(heights):
        offsets.append(offsets[-1] + (upper + lower) / 2)
    blocks: list[tuple[float, float, int]] = []
    for (place, weight), offset in zip(wanted, offsets, strict=False):
        mean, total, count = place - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, others = blocks.pop()
            mean, total, count = (mean * total + other * more) / (total + more), total + more, count + others
        blocks.append((mean, total, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [place + offset for place, offset in zip(flat, offsets, strict=False)]
