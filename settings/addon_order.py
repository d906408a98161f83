"""The order of installation, from the needs of the units and from nothing else."""

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from settings.addon_catalogue import Unit


def needs_of(unit: Unit, units: Iterable[Unit]) -> list[Unit]:
    """Return which of some units must be installed before one of them, in their own order."""
    wanted = {*unit.needs, *unit.after}
    return [other for other in units if other.name in wanted]


def install_order(units: Sequence[Unit]) -> list[Unit]:
    """Return the units, each after what it needs; else in their own order. Raises graphlib.CycleError.

    Only needs among these units count: what is there already needs no place in the order.
    """
    sorter = TopologicalSorter({unit.name: [o.name for o in needs_of(unit, units)] for unit in units})
    sorter.prepare()
    by_name = {unit.name: unit for unit in units}
    order: list[Unit] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(by_name).index)
        order += [by_name[name] for name in ready]
        sorter.done(*ready)
    return order
