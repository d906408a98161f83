"""What the toolchain's cache takes on the disk, and how to get most of it back."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from rehearsal.errors import UserError
from rehearsal.toolchain.places import Places

# Unit of st_blocks, whatever the file system's own block size.
_BLOCK_BYTES = 512


def folder_bytes(folder: Path) -> int:
    """Bytes on disk of all files under a folder; 0 when there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # Another process may just have removed it.
            with contextlib.suppress(FileNotFoundError):
                total += (Path(parent) / name).lstat().st_blocks * _BLOCK_BYTES
    return total


def disk_use(places: Places) -> tuple[int, int]:
    """Bytes of the finished tools, and of Go's caches, which only a build needs."""
    return folder_bytes(places.outputs), folder_bytes(places.go_modules) + folder_bytes(places.go_build)


def remove_go_caches(places: Places) -> int:
    """Remove downloads and compiled packages, which only a build needs. Finished tools stay.

    :returns: bytes that were freed.
    :raises UserError: a build is under way, here or in another checkout.
    """
    if any(_held(lock) for lock in places.locks.glob("*.lock")):
        raise UserError("A build of the tools is under way and needs these files: wait for its end.")
    freed = 0
    for folder in (places.go_modules, places.go_build):
        freed += folder_bytes(folder)
        if folder.exists():
            shutil.rmtree(folder)
    return freed


def _held(lock: Path) -> bool:
    """Some process has it."""
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def human_size(size: int) -> str:
    """Such as `3.1 GB`."""
    mega = 1_000_000
    return f"{size / (1000 * mega):.1f} GB" if size >= 1000 * mega else f"{size / mega:.0f} MB"
