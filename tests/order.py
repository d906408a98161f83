"""In which order the modules of a group of tests begin, where each module is one worker's."""

from collections.abc import Sequence

import pytest


def longest_first(items: list[pytest.Item], modules: Sequence[str]) -> None:
    """Put the tests of these modules first, in this order: one that takes minutes and comes last has a machine for itself."""
    places = {name: place for place, name in enumerate(modules)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
