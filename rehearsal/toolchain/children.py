"""Child processes of a build, each in a process group of its own.

Stopping one then stops all that it started, and nothing else.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# A compiler that is asked to stop needs a moment to remove its temporary files.
_GRACE_SECONDS = 5.0


class StoppedError(Exception):
    """The build was asked to stop; what it compiled so far stays in Go's cache."""


class Children:
    """All processes of one run, so that they can be stopped together. Safe to use from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """`stop` was called: nothing is started any more."""
        return self._stopped.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond `stop`.

        :raises StoppedError: `stop` was called.
        """
        if self._stopped.wait(seconds):
            raise StoppedError

    def run(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> int:
        """Run a command to its end and hand every line it prints (both streams) to `on_line`.

        :returns: its exit status, negative when a signal ended it.
        :raises StoppedError: `stop` was called.
        :raises OSError: it cannot be started.
        """
        with self._lock:
            if self.stopped:
                raise StoppedError
            child = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(child)
        try:
            for line in child.stdout or ():
                on_line(line.rstrip("\n"))
        except BaseException:
            _signal_group(child, signal.SIGKILL)
            raise
        finally:
            # Under the lock, so that `stop` never signals a group whose leader is reaped: its number could be
            # another's by then.
            with self._lock:
                status = child.wait()
                self._running.discard(child)
            if child.stdout is not None:
                child.stdout.close()
        if self.stopped:
            raise StoppedError
        return status

    def stop(self) -> None:
        """Ask every process to end, and after a grace period end it. Returns at once when there is none."""
        self._stopped.set()
        with self._lock:
            running = list(self._running)
            for child in running:
                _signal_group(child, signal.SIGINT)
        killer = threading.Timer(_GRACE_SECONDS, self._kill)
        killer.daemon = True
        if running:
            killer.start()

    def _kill(self) -> None:
        with self._lock:
            for child in self._running:
                _signal_group(child, signal.SIGKILL)


def _signal_group(child: "subprocess.Popen[str]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
