"""Another commit of this repository beside the working tree, so that each side is worked out by its own code.

A git worktree in a temporary folder. What runs there runs in a process of its own, in a group of its own; both are
gone on every end, Ctrl-C and SIGTERM included.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from rehearsal.errors import UserError

# A render on a busy machine takes a minute; past this it waits for something that does not come.
TIMEOUT_SECONDS: Final = 300
# Code of somebody else's branch runs there: it needs none of what lets this shell act.
_KEPT_BACK: Final = ("AWS_", "PULUMI_", "KUBECONFIG", "VAULT_", "GH_", "GITHUB_", "ACTIONS_")
# A hook of this clone is not part of the other side.
_NO_HOOKS: Final = ("-c", "core.hooksPath=/dev/null")


class _Hold:
    """Ctrl-C and its like wait while a process is being started: one that nobody knows of yet could not be ended."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._pending = False

    @contextlib.contextmanager
    def starting(self) -> Generator[None]:
        """Start a process inside this. Raises KeyboardInterrupt behind it where one came meanwhile."""
        with self._starting:
            yield
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._starting.locked():
            self._pending = True
        else:
            raise KeyboardInterrupt


_HOLD: Final = _Hold()


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its status, and what it wrote."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """One commit, checked out. root: the project's folder in it. ref: as it was asked for. commit: its whole hash."""

    ref: str
    commit: str
    root: Path
    running: set["subprocess.Popen[str]"] = field(default_factory=set["subprocess.Popen[str]"], compare=False)

    def vp(self, *arguments: str) -> Done:
        """Run this side's own `vp`. Raises UserError where it does not end."""
        return self.python("-m", "ops.cli", *arguments)

    def python(self, *arguments: str) -> Done:
        """Run Python on this side's own code, with this interpreter and its packages. Raises UserError as `vp` does."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_BACK)}
        environment["PYTHONPATH"] = str(self.root)
        # An interrupt that waited comes behind this; `other_side` then ends what is among `running`.
        with _HOLD.starting():
            child = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self.running.add(child)
        try:
            stdout, stderr = child.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"`{' '.join(arguments)}` of {self.ref} did not end within {TIMEOUT_SECONDS} s"
            ) from None
        finally:
            # What it started itself goes with it.
            _kill(child)
            child.wait()
            self.running.discard(child)
        return Done(status=child.returncode, stdout=stdout, stderr=stderr)


@contextlib.contextmanager
def other_side(root: Path, ref: str) -> Generator[Side]:
    """Check a commit out beside the project in `root`. Raises UserError for a name that git does not know."""
    commit = commit_of(root, ref)
    below = git(root, "rev-parse", "--show-prefix").strip()
    folder = Path(tempfile.mkdtemp(prefix="vllm-platform-side-")).resolve()
    tree = folder / "tree"
    side: Side | None = None
    with _killed_as_interrupted():
        try:
            git(root, *_NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(tree), commit)
            side = Side(ref=ref, commit=commit, root=tree / below)
            yield side
        finally:
            # Those that threads still wait for.
            for child in tuple(side.running) if side else ():
                _kill(child)
                child.wait()
            # git forgets the worktree whose folder is gone.
            shutil.rmtree(folder, ignore_errors=True)
            git(root, "worktree", "prune")


def _kill(child: "subprocess.Popen[str]") -> None:
    """End a process with all of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def commit_of(root: Path, ref: str) -> str:
    """Return the hash of a commit. Raises UserError for a name that git does not know."""
    done = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if done.returncode != 0:
        raise UserError(
            f"git knows no commit {ref!r} here.\nfix: name a branch, a tag or a hash; a shallow clone may lack it"
        )
    return done.stdout.strip()


def git(root: Path, *arguments: str) -> str:
    """Run git in the project and return what it printed. Raises UserError with git's own words."""
    done = _git(root, *arguments)
    if done.returncode != 0:
        raise UserError(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A git hook that calls `vp` says by these which repository it means; the project's folder says it better.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(root), *arguments],  # noqa: S607 - git of PATH, as the user's own
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@contextlib.contextmanager
def _killed_as_interrupted() -> Generator[None]:
    """Treat SIGTERM and a closed terminal as Ctrl-C, so that what follows `finally` is done."""
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, _HOLD.interrupt) for number in endings}
    except ValueError:  # a thread: its program's main one is told
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
