"""A directory that many pods share, filled so that nobody ever sees half a model in it.

A model is brought into a folder of its own below `.incoming`, checked, written through, and becomes visible by one
rename to its place, which holds the revision: it is never changed there. What a share by NFS 4 promises is enough:

- RENAME of a folder is atomic at the server, and fails where the place holds a folder with something in it. So of two
  that fill the same place, for whatever reason, one comes first and the other finds a whole model.
- An exclusive `flock` is, on Linux, a lock of the file's bytes at the server, for all nodes (EFS has these locks too). The
  server frees it when the process ends, or when its node has not been heard of for a lease (90 s): after `kill -9`, or
  the loss of a node, nobody has to guess by clocks whether a lock is stale. NFS 3 and mounts with `nolock` do not do that.
- Who lost its lock without knowing (a node that was cut off) can do no harm: leftovers are renamed before they are
  deleted, so its own rename finds nothing.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from weight_layers import MANIFEST, MODIFIED, Refused, checked_path, manifest, parsed_manifest, settle
from weight_request import say

INCOMING: Final = ".incoming"
_REMOVED: Final = ".removed-"
_POLL_SECONDS: Final = 2.0
# Of a share that keeps no locks (NFS without its lock service, some FUSE file systems).
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})

Bring = Callable[[Path], Mapping[str, str]]
"""Brings files into a new folder; returns the SHA-256 of each. What else it leaves there is no part of the model."""


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The folder of one run."""

    path: Path

    @property
    def mark(self) -> Path:
        """A file that only the folder that this run made has: one made anew under its name may even get its inode's number."""
        return self.path / "mark"

    @property
    def downloaded(self) -> Path:
        return self.path / "downloaded"

    @property
    def model(self) -> Path:
        return self.path / "model"


def fill(root: Path, place: str, bring: Bring, *, owner: str) -> str:
    """Bring a model to root/place, unless it is there whole. Returns what was done.

    Others that fill the same place wait here, and then find it. `owner` is what they say that they wait for.

    :raises Refused: the share keeps no locks, or what `bring` refuses.
    """
    target = root / checked_path(place)
    name = place.replace("/", "--")
    incoming = root / INCOMING
    incoming.mkdir(exist_ok=True)
    with _locked(incoming / f"{name}.lock", owner):
        _clear(incoming, name)
        wrong = fault(target)
        if wrong is None:
            return f"is there already, at {place}"
        if target.exists():
            say(f"{place}: {wrong}; it is brought anew")
        with _own(incoming, name) as own:
            sums = bring(own.downloaded)
            _lay_down(own, sums)
            _publish(own, target)
    return f"{len(sums)} files, now at {place}"


def fault(folder: Path) -> str | None:
    """Return what is wrong with a model's folder, or nothing for a whole one.

    A file with the time that it was laid down with was not written to since; any other is read and compared. `sha256sum --check
    SHA256SUMS` reads them all.
    """
    try:
        sums = parsed_manifest((folder / MANIFEST).read_text())
    except FileNotFoundError:
        return f"there is no {MANIFEST}"
    except Refused as refused:
        return str(refused)
    for path, expected in sums.items():
        file = folder / path
        try:
            if file.stat().st_mtime == MODIFIED:
                continue
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
                    return f"{path} was changed"
        except FileNotFoundError:
            return f"{path} is missing"
    return None


@contextmanager
def _locked(file: Path, owner: str) -> Generator[None]:
    """Hold the lock. Its file stays, with the last owner in it: were it deleted, two could hold a lock of that name."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = b""
        while not _taken(handle):
            if (holder := os.pread(handle, 200, 0)) != told:
                say(f"{holder.decode(errors='replace')} is at it: waiting")
                told = holder
            time.sleep(_POLL_SECONDS)
        os.ftruncate(handle, 0)
        os.pwrite(handle, owner.encode(), 0)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise Refused("The share keeps no locks: mount it by NFS 4, without `nolock`.") from error
        raise
    return True


def _clear(incoming: Path, name: str) -> None:
    """Remove what earlier runs for this place left: whoever made it is dead, or has lost its lock and must not come through."""
    for left in incoming.iterdir():
        if left.name.startswith(f"{name}.") and left.is_dir():
            # First out of the way, in one step: then nobody can rename it to the model's place any more.
            left.rename(incoming / f"{_REMOVED}{uuid.uuid4().hex}")
    for removed in incoming.glob(f"{_REMOVED}*"):
        # Of another place, too; whoever deletes the same one at the same time may be faster.
        shutil.rmtree(removed, ignore_errors=True)


@contextmanager
def _own(incoming: Path, name: str) -> Generator[_Own]:
    path = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=incoming))
    try:
        own = _Own(path=path)
        own.mark.touch()
        yield own
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _lay_down(own: _Own, sums: Mapping[str, str]) -> None:
    """Move the files into the folder that is published, with their manifest, and write all of it through."""
    own.model.mkdir()
    for path in sums:
        target = own.model / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (own.downloaded / path).rename(target)
    (own.model / MANIFEST).write_text(manifest(sums))
    settle(own.model)
    for path in (*own.model.rglob("*"), own.model):
        _write_through(path)


def _publish(own: _Own, target: Path) -> None:
    """Make the model visible, all of it at once.

    :raises OSError: the folder is not this run's any more, or another came first with something that is not whole.
    """
    if not own.mark.exists():
        message = f"{own.path} was taken away: this run has lost its lock"
        raise FileNotFoundError(message)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and fault(target) is not None:
        # Who reads it goes on reading: an open file stays the same file.
        target.rename(own.path / "broken")
    try:
        own.model.rename(target)
    except OSError:
        # Another came first; or it was done, and the answer was lost: a server that starts anew may be asked a second time.
        if fault(target) is not None:
            raise
    _write_through(target.parent)


def _write_through(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
