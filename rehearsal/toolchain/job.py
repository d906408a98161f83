"""One tool on its way from nothing to ready: written by the thread that builds it, read by the display."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rehearsal.toolchain.failure import Failure
from rehearsal.toolchain.outputs import Output
from rehearsal.toolchain.tool import Tool

_KEPT_LINES = 40


class State(StrEnum):
    """Where a build is; the value is what people read."""

    WAITING = "waiting"
    LOCKED = "another build has it"
    DOWNLOADING = "downloading"
    COMPILING = "compiling"
    LINKING = "linking"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


_FINISHED = frozenset({State.READY, State.FAILED, State.STOPPED})


@dataclass
class Job:
    """The building of one tool.

    :param log: file that gets all that the compiler prints.
    :param done: packages compiled so far.
    :param total: packages it consists of; those that Go's cache already has are never counted in `done`.
    :param lines: what was printed last, without the names of packages.
    """

    output: Output
    log: Path
    state: State = State.WAITING
    done: int = 0
    total: int = 0
    failure: Failure | None = None
    lines: list[str] = field(default_factory=list[str])
    _started: float = 0.0
    _ended: float = 0.0

    @property
    def tool(self) -> Tool:
        """The tool that is built."""
        return self.output.tool

    @property
    def finished(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in _FINISHED

    @property
    def seconds(self) -> float:
        """Since it was started, until now or its end; 0 before."""
        if not self._started:
            return 0.0
        return (self._ended or time.monotonic()) - self._started

    def start(self) -> None:
        """The clock runs."""
        self._started = time.monotonic()

    def note(self, line: str) -> None:
        """Keep a line for an error message."""
        self.lines.append(line)
        del self.lines[:-_KEPT_LINES]

    def fail(self, exit_code: int | None) -> None:
        """It ended badly.

        :param exit_code: of the Go command; None when it was something else that failed.
        """
        self.failure = Failure(tool=self.tool.name, exit_code=exit_code, lines=list(self.lines), log=self.log)
        self.end(State.FAILED)

    def end(self, state: State) -> None:
        """It ended with this state."""
        self._ended = time.monotonic()
        self.state = state
