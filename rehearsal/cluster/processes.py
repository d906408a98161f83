"""Starts the cluster's processes so that they outlive the command, and stops exactly those again.

A process is known by its id and its start time together: after a reboot or a long pause the same id may belong to somebody else's process.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

# Seconds for a clean end before a process is killed. An API server whose etcd ends with it would wait for a minute; nothing of it is kept.
STOP_GRACE_SECONDS = 3.0
LOG_TAIL_BYTES = 4000
# psutil computes start times from the boot time, which moves by a second when the clock is set.
START_TIME_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Started:
    """One started process. `started_at` is the start time in seconds since the epoch, as the operating system has it."""

    name: str
    pid: int
    started_at: float

    def find(self) -> psutil.Process | None:
        """The live process, or None if it ended or its id is now another's."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < START_TIME_TOLERANCE_SECONDS
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            pass
        return None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.find() is not None


class ProcessTable:
    """The processes of one cluster, kept in a file that is rewritten after every start, so that a crash loses none of them."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self.started: list[Started] = []
        if record.exists():
            with contextlib.suppress(ValueError, TypeError):
                self.started = [Started(**entry) for entry in json.loads(record.read_text())]

    def start(
        self, name: str, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str]
    ) -> Started:
        """Start a process in a session of its own with its output in `log`; the environment is `env` and nothing else."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            child = subprocess.Popen(
                [str(c) for c in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=log.parent,
                start_new_session=True,
                close_fds=True,
            )
        # Tells Python that nobody waits for this child: to outlive us is its purpose, not a leak to warn of.
        child.returncode = 0
        entry = Started(name=name, pid=child.pid, started_at=psutil.Process(child.pid).create_time())
        self.started.append(entry)
        self._write()
        return entry

    def stop_all_but(self, kept: Iterable[Started]) -> None:
        """Stop what was started beside these, the last first; the record keeps these alone."""
        left = list(kept)
        stop(each for each in reversed(self.started) if each not in left)
        self.started = left
        self._write()

    @property
    def dead(self) -> list[Started]:
        """Processes that were started and have ended."""
        return [s for s in self.started if not s.alive]

    def stop_all(self) -> None:
        """Stop in the reverse order of starting; all are asked first, those that stay are killed."""
        stop(reversed(self.started))
        self.started = []
        self._record.unlink(missing_ok=True)

    def _write(self) -> None:
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps([asdict(s) for s in self.started], indent=1))
        temporary.replace(self._record)


def stop(entries: Iterable[Started]) -> None:
    """Ask every live process to end, wait, and kill what is left with its children."""
    processes = [p for p in (e.find() for e in entries) if p is not None]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=STOP_GRACE_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
    psutil.wait_procs(left, timeout=STOP_GRACE_SECONDS)


def log_tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as f:
        f.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = f.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-12:])
