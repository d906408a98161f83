"""Shows the progress of builds: a live table on a terminal, plain lines elsewhere (logs, CI)."""

import contextlib
import time
from collections.abc import Generator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.schedule import Display

_HEARTBEAT_SECONDS = 30.0
_STYLES = {State.READY: "green", State.FAILED: "red", State.STOPPED: "yellow", State.WAITING: "dim"}
_MINUTE = 60


@contextlib.contextmanager
def shown(console: Console) -> Generator[Display]:
    """The display that fits the console."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        yield LiveTable(live)


def duration(seconds: float) -> str:
    """Such as `47 s` or `4 min 03 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"


def _progress(job: Job) -> str:
    """State of a job, with counts where they mean something."""
    if job.state is State.COMPILING and job.total:
        return f"{job.state} {job.done}/{job.total}"
    return str(job.state)


def _ready(jobs: list[Job]) -> int:
    return sum(job.state is State.READY for job in jobs)


class LiveTable:
    """One row per tool, redrawn in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._began = time.monotonic()

    def update(self, jobs: list[Job]) -> None:
        """Redraw."""
        table = Table(box=None, pad_edge=False, title_justify="left", title_style="bold")
        table.title = (
            f"Tools: {_ready(jobs)} of {len(jobs)} ready, {duration(time.monotonic() - self._began)}"
        )
        for heading in ("tool", "version", "state", "time"):
            table.add_column(heading, no_wrap=True, header_style="dim")
        for job in jobs:
            time_text = duration(job.seconds) if job.seconds else f"about {duration(job.tool.seconds)}"
            table.add_row(
                job.tool.name, job.output.version, _progress(job), time_text, style=_STYLES.get(job.state, "")
            )
        self._live.update(table)


class PlainLines:
    """One line when a build starts and ends, and one now and then, so that a log shows that it lives."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = self._last = time.monotonic()
        self._seen: dict[str, State] = {}

    def update(self, jobs: list[Job]) -> None:
        """Print what changed."""
        for job in jobs:
            before = self._seen.get(job.tool.name, State.WAITING)
            self._seen[job.tool.name] = job.state
            if before is State.WAITING and job.state is not State.WAITING:
                self._print(f"{job.tool.name} {job.output.version}: started")
            if job.finished and before is not job.state:
                ended = f"{job.state} after {duration(job.seconds)} ({_ready(jobs)} of {len(jobs)})"
                self._print(f"{job.tool.name} {job.output.version}: {ended}")
        if time.monotonic() - self._last >= _HEARTBEAT_SECONDS:
            under_way = ", ".join(
                f"{job.tool.name} {_progress(job)}" for job in jobs if job.seconds and not job.finished
            )
            passed = duration(time.monotonic() - self._began)
            self._print(f"{_ready(jobs)} of {len(jobs)} ready after {passed}; {under_way}")

    def _print(self, text: str) -> None:
        self._last = time.monotonic()
        self._console.print(f"tools: {text}", highlight=False, markup=False, soft_wrap=True)
