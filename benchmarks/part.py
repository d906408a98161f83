"""A part of a run, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.report import Measurement
from rehearsal.errors import UserError
from rehearsal.toolchain import Toolchain


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a part needs.

    :param built: the rehearsal's tools; None in a run of which no part needs them.
    :param runs: how often the dear measurements are repeated.
    """

    repository: Path
    built: Toolchain | None
    console: Console
    runs: int

    @property
    def tools(self) -> Toolchain:
        """The rehearsal's tools."""
        if self.built is None:
            raise UserError("this part of the benchmarks needs the rehearsal's tools, which were not built")
        return self.built


Case = Callable[[Bench], list[Measurement]]
