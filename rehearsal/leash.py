#!/usr/bin/env -S python3 -IS
"""Runs Pulumi so that neither it nor a plugin of it outlives whoever runs it: a program that was killed can end nothing.

A program of its own, between the two. The kernel tells it of its owner's end, and hands it what Pulumi leaves behind.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

PROGRAM: Final = "VP_LEASHED_PROGRAM"
OWNER: Final = "VP_LEASHED_BY"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
# For Pulumi to finish what it has begun, then for it to end at once; and for plugins.
_FINISH_SECONDS: Final = 15
_GRACE_SECONDS: Final = 3.0


def main() -> int:
    """Run the program to its end, or to its owner's. Returns its exit status."""
    program, owner = os.environ.pop(PROGRAM), int(os.environ.pop(OWNER))
    kernel = ctypes.CDLL(None)
    kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    kernel.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != owner:
        return 1
    # Ctrl-C goes to Pulumi and its owner as well; this one waits for both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Nobody reads any more after the owner's end: a line that is not read must not end Pulumi in the middle.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - that no shell is there is the purpose
    steps = iter((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))

    def end(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, next(steps, signal.SIGKILL))
        signal.alarm(_FINISH_SECONDS)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    _end_orphans()
    return os.waitstatus_to_exitcode(status) % 256


def _end_orphans() -> None:
    """End what Pulumi did not; all of it is this process's child now."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_SECONDS
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, ask)
        while _children() and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.02)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
