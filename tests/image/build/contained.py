"""Processes in namespaces of their own: what they start and mount ends with them, and they end with the tests, however those end."""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import psutil
import pytest

_NEEDED: Final = {"runc": "runc", "unshare": "util-linux", "setpriv": "util-linux", "ldd": "libc-bin"}
_CGROUPS: Final = Path("/sys/fs/cgroup")
# Shorter than pytest's folders: the path of a socket has 107 characters at most. And not in memory, as /tmp may be.
_FOLDERS: Final = Path("/var/tmp")  # noqa: S108 - mkdtemp makes one that is its user's alone
_PREFIX: Final = "vp-image-"
STOP_SECONDS: Final = 30
CGROUP: Final = f"{_PREFIX}{os.getpid()}"
"""Below it lie the control groups of all containers of this process."""


def contained(command: Sequence[object]) -> list[str]:
    """Return the command as one that is the first process of its own namespaces of processes and mounts.

    The kernel kills all that are left there when the first ends, and takes the mounts away. The first is killed when
    `unshare` ends, and that when the test process ends, even by SIGKILL.
    """
    own = ["--mount", "--propagation=private", "--pid", "--mount-proc", "--fork", "--kill-child"]
    return ["setpriv", "--pdeathsig=KILL", "unshare", *own, "--", *map(str, command)]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a contained process that runs, and return when nothing of it is left."""
    if process.poll() is None:
        for first in psutil.Process(process.pid).children():
            first.kill()
        # `unshare` ends when the kernel has ended all that the first left.
        process.wait(STOP_SECONDS)
    _remove_cgroups()


@contextlib.contextmanager
def own_folder() -> Generator[Path]:
    """Make a folder for all that is large, and remove it at the end. What a killed run has left goes first."""
    for left in _FOLDERS.glob(f"{_PREFIX}*-*"):
        if _is_left(left):
            shutil.rmtree(left)
    _remove_cgroups()
    folder = Path(tempfile.mkdtemp(prefix=f"{CGROUP}-", dir=_FOLDERS))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _remove_cgroups() -> None:
    """Remove the control groups that runtimes leave, of this process and of killed ones: they are empty, or stay."""
    for group in [*_CGROUPS.glob(f"{_PREFIX}*"), *_CGROUPS.glob(f"*/{_PREFIX}*")]:
        if group.name == CGROUP or _is_left(group):
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def _is_left(path: Path) -> bool:
    pid = path.name.removeprefix(_PREFIX).partition("-")[0]
    return pid.isdecimal() and not psutil.pid_exists(int(pid))


@functools.cache
def why_not() -> str | None:
    """Return why no container can be started here, or None."""
    if os.geteuid() != 0:
        return "a build of the image needs root, for mounts and namespaces"
    for program, package in _NEEDED.items():
        if shutil.which(program) is None:
            return f"a build of the image needs {program} (Debian, Ubuntu: apt install {package})"
    probe = contained(["mount", "-t", "tmpfs", "none", "/proc"])
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"namespaces or mounts are not allowed here: {done.stderr.strip()}"
    return None


def skip_where_it_can_not_run() -> None:
    """Skip the test, with the reason, where no container can be started."""
    if reason := why_not():
        pytest.skip(reason)
