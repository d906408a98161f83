"""Puts right what a killed run of Pulumi left in a file backend: its lock, its plugins, a state file cut short."""

import json
from pathlib import Path

import psutil

from rehearsal.cluster.orphans import stop_orphans
from rehearsal.errors import UserError

BACKUP_SUFFIX = ".bak"


def recover(state: Path, stack: str) -> list[str]:
    """Return what was put right, in words; nothing where no run was killed. Raises UserError beside a run that lives."""
    locks = list(state.glob(".pulumi/locks/**/*.json"))
    for lock in locks:
        _refuse_if_alive(lock, stack)
        lock.unlink(missing_ok=True)
    if not locks:
        return []
    stop_orphans(state)
    said = [f"removed the lock of an earlier run of {stack} that was killed"]
    for checkpoint in sorted(state.glob(".pulumi/stacks/**/*.json")):
        said += _restore(checkpoint)
    return said


def _refuse_if_alive(lock: Path, stack: str) -> None:
    try:
        pid = int(json.loads(lock.read_text())["pid"])
    except (ValueError, KeyError):
        return
    if pid > 0 and psutil.pid_exists(pid) and "pulumi" in psutil.Process(pid).name():
        message = f"another Pulumi (process {pid}) works on stack {stack} right now. Wait for it, or stop it, and try again."
        raise UserError(message)


def _restore(checkpoint: Path) -> list[str]:
    """Replace a state file that was cut short by the one before it, or by none.

    The engine writes the file in place, and keeps what was there before as a backup. What the older state does not know of
    is taken over in the next run: the provider applies to objects that are there already.
    """
    if _whole(checkpoint):
        return []
    backup = checkpoint.with_name(checkpoint.name + BACKUP_SUFFIX)
    if _whole(backup):
        checkpoint.write_bytes(backup.read_bytes())
        return [f"{checkpoint.name} was cut short: going on from the state before it"]
    checkpoint.unlink()
    return [f"{checkpoint.name} was cut short and has no backup: going on from an empty state"]


def _whole(file: Path) -> bool:
    try:
        return bool(json.loads(file.read_bytes()))
    except (OSError, ValueError):
        return False
