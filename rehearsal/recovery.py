"""The file backend of a rehearsal, and what a killed run of Pulumi leaves in it: its lock and its plugins."""

import json
from pathlib import Path

import psutil

from rehearsal.cluster.orphans import stop_orphans
from rehearsal.errors import UserError


def recover(state: Path, stack: str) -> list[str]:
    """Return what was put right, in words; nothing where no run was killed. Raises UserError beside a run that lives."""
    locks = list(state.glob(".pulumi/locks/**/*.json"))
    for lock in locks:
        _refuse_if_alive(lock, stack)
        lock.unlink(missing_ok=True)
    if not locks:
        return []
    stop_orphans(state)
    return [f"removed the lock of an earlier run of {stack} that was killed"]


def _refuse_if_alive(lock: Path, stack: str) -> None:
    try:
        pid = int(json.loads(lock.read_text())["pid"])
    except (ValueError, KeyError):
        return
    if pid > 0 and psutil.pid_exists(pid) and "pulumi" in psutil.Process(pid).name():
        message = f"another Pulumi (process {pid}) works on stack {stack} right now. Wait for it, or stop it, and try again."
        raise UserError(message)
