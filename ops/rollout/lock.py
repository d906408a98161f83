"""Keeps two drivers on this machine from working on one thing. The kernel lets go when the holder ends, however it ends."""

import contextlib
import fcntl
import hashlib
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from rehearsal.errors import UserError
from rehearsal.toolchain import default_places


@contextmanager
def only_one(file: Path, model: str, *, stop_other: bool = False) -> Generator[None]:
    """Be the only driver of a model of a stack file. Raises UserError beside another one.

    stop_other: it is told to stop, as by Ctrl-C, and waited for.
    """
    path = _lock_file(file, f"model {model}")
    with _opened(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            if not (stop_other and holder.isdecimal()):
                raise UserError(
                    f"another `vp rollout` (process {holder or 'unknown'}) drives {model} of {file.name} right now. "
                    "Wait for it, or stop it, and try again."
                ) from None
            _ask_to_stop(int(holder), path)
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield


def _ask_to_stop(holder: int, path: Path) -> None:
    """Send Ctrl-C to a process, if it is one that has the lock's file open: the number may be an earlier holder's."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(holder)
        if str(path) in {file.path for file in process.open_files()}:
            process.send_signal(signal.SIGINT)


@contextmanager
def in_turn(file: Path) -> Generator[None]:
    """Be the only one that changes a stack file and deploys it; waits for drivers of other models."""
    with _opened(_lock_file(file, "stack")) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Generator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock_file(file: Path, what: str) -> Path:
    name = hashlib.sha256(f"{file.resolve()}\n{what}".encode()).hexdigest()[:16]
    return default_places().locks / f"rollout-{name}"
