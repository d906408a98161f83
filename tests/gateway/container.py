"""One container: a process with a root of its own, in its pod's network. Users, limits and capabilities are not enforced."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.gateway.isolated import REPOSITORY
from tests.gateway.network import PodNetwork

EXEC_SECONDS: Final = 600.0
# The programs of the machine, read from where they are. Everything else of the root is the container's own and empty.
_SHARED: Final = tuple(
    str(path)
    for path in dict.fromkeys([Path("/usr"), REPOSITORY, Path(sys.prefix), Path(sys.base_prefix).resolve()])
)
_ETC: Final = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl")
# $1: where the root is made. Then pairs of a path here and one in it, "--", and the command.
_MAKE_ROOT: Final = """
set -eu
root=$1; shift
mount -t tmpfs none "$root"
for path in /*; do
  if [ -L "$path" ]; then cp -P "$path" "$root$path"; fi
done
for path in /bin /sbin /lib /lib64 /proc /sys /dev; do
  if [ -d "$path" ] && [ ! -L "$path" ]; then mkdir "$root$path"; mount --rbind "$path" "$root$path"; fi
done
mkdir -m 1777 "$root/tmp"
mount -t tmpfs none "$root/dev/shm"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; mount --rbind "$1" "$root$2"
  else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; mount --bind "$1" "$root$2"
  fi
  shift 2
done
shift
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A file or folder of this machine, and where the container has it."""

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a container runs: the program by its full path, and all that it is told."""

    words: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount] = field(default_factory=list[Mount])


class Container:
    """One that runs, or ran. `log` gets all output."""

    def __init__(self, name: str, command: Command, network: PodNetwork, folder: Path) -> None:
        self.name = name
        self._command = command
        self.log = folder / f"{name}.log"
        root = folder / f"{name}.root"
        root.mkdir(exist_ok=True)
        shared = [(path, path) for path in _SHARED]
        shared += [(f"/etc/{name}", f"/etc/{name}") for name in _ETC if Path(f"/etc/{name}").exists()]
        shared += [(str(mount.source), mount.target) for mount in command.mounts]
        pairs = [word for pair in shared for word in pair]
        making = ["unshare", "--mount", "--propagation=private", "sh", "-c", _MAKE_ROOT, "sh", str(root)]
        with self.log.open("ab") as written:
            self._process = subprocess.Popen(
                [*network.enter, *making, *pairs, "--", *command.words],
                env={"PATH": _PATH, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def execute(self, words: Sequence[str]) -> int:
        """Run a command in the container, as `kubectl exec` does, and return its exit code."""
        enter = ["nsenter", f"--target={self._process.pid}", "--mount", "--net", "--root", "--wd"]
        with self.log.open("ab") as written:
            done = subprocess.run(
                [*enter, *words],
                env={"PATH": _PATH, **self._command.environment},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=EXEC_SECONDS,
                check=False,
            )
        return done.returncode

    def terminate(self) -> None:
        """Ask it to end, as the kubelet does."""
        self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal, where it runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it with all that it started in its own session, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
