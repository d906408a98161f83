"""A checkout of links in a temporary folder, so that a run leaves the developer's own clusters and files alone.

It stops what was started in it, on every way out.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

from rehearsal.cluster import lifecycle
from rehearsal.cluster.layout import ClusterLayout, existing_clusters
from rehearsal.errors import UserError

_STACK_FILES: Final = "Pulumi.*.yaml"
# Never linked: the developer's clusters, and what would make the folder another git checkout.
_OWN: Final = {".git", ".rehearsal"}
# For a command that is told to end: the toolchain stops compilers, the engine finishes its step.
GRACE_SECONDS: Final = 30.0
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that came to its end. printed: both streams. seconds: that it took."""

    status: int
    printed: str
    seconds: float


def run_to_its_end(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a command in a folder, with variables on top of this process's. When this is interrupted it is told to end."""
    began = time.perf_counter()
    # A group of its own, so that all of it can be told to end.
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = child.communicate()
    except BaseException:
        end_group(child)
        raise
    return Ended(status=child.returncode, printed=printed, seconds=time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A folder that looks like a clone with its set-up done.

    :param environment: variables on top of this process's, for commands that run in it.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def layout(self, stack: str) -> ClusterLayout:
        """Places of a cluster of this checkout."""
        return ClusterLayout(project_root=self.root, name=stack)

    def vp(self, *arguments: str) -> float:
        """Run `vp` to its end. Return the seconds that it took. Raises UserError when it fails."""
        command = [str(Path(sys.prefix) / "bin" / "vp"), *arguments]
        ended = run_to_its_end(command, self.root, self.environment)
        if ended.status != 0:
            raise UserError(f"`vp {' '.join(arguments)}` ended with status {ended.status}:\n{ended.printed}")
        return ended.seconds

    def down(self) -> None:
        """Stop every cluster of this checkout and remove its files."""
        for layout in existing_clusters(self.root):
            lifecycle.down(layout)


@contextlib.contextmanager
def checkout(
    repository: Path, *, without: frozenset[str] = frozenset(), environment: Mapping[str, str] | None = None
) -> Generator[Checkout]:
    """Make a checkout of links to a repository, and take it down with all that runs in it.

    :param without: names in the repository's folder that are left out too.
    """
    folder = Path(tempfile.mkdtemp(prefix="vllm-platform-bench-")).resolve()
    made = Checkout(root=folder / "checkout", environment=environment or {})
    try:
        made.root.mkdir()
        for entry in repository.iterdir():
            if entry.name not in _OWN | without and not entry.match(_STACK_FILES):
                (made.root / entry.name).symlink_to(entry)
        for source in repository.glob(_STACK_FILES):
            shutil.copyfile(source, made.root / source.name)
        _refuse_another_root(made)
        yield made
    finally:
        # A second Ctrl-C must not leave half of it running.
        with _uninterrupted():
            _end_children(made)
            made.down()
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ended_as_interrupted() -> Generator[None]:
    """Treat a `kill` and a closed terminal as Ctrl-C: everything is stopped on the way out."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts something in the background lets it ignore Ctrl-C.
    before = {number: signal.signal(number, interrupt) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _uninterrupted() -> Generator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_another_root(made: Checkout) -> None:
    """Make sure that `vp` in the checkout works on the checkout: a benchmark must not take the developer's clusters down."""
    command = [sys.executable, "-c", "from rehearsal.project import project_root; print(project_root())"]
    answer = subprocess.run(command, cwd=made.root, capture_output=True, text=True, check=True)
    if Path(answer.stdout.strip()) != made.root:
        raise UserError(
            f"`vp` in {made.root} works on {answer.stdout.strip()}: benchmarks would change that checkout"
        )


def end_group(child: subprocess.Popen[str]) -> None:
    """Tell a command's group to end, and after a while end it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=GRACE_SECONDS)
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _end_children(made: Checkout) -> None:
    """End what this process started itself and is still there: the engine of an update that was interrupted.

    Processes of clusters are left to `down`, which stops them in their order.
    """
    of_clusters = {
        entry.pid for layout in existing_clusters(made.root) for entry in lifecycle.status(layout).alive
    }
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in of_clusters]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=GRACE_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
