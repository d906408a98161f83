"""An image as a running container: by runc, as on a node, with a read-only root and as the image's user."""

import contextlib
import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.image.build.contained import CGROUP, contained, stop
from tests.image.build.oci_layout import Image

RUN_SECONDS: Final = 60
_NAMESPACES: Final = ("pid", "mount", "ipc", "uts")
_TEMPORARY: Final = {"/dev": "mode=755", "/dev/shm": "mode=1777", "/tmp": "mode=1777"}  # noqa: S108 - in the container


@dataclass(frozen=True, kw_only=True)
class Container:
    """An image and how it is started, without rights. Only /tmp and /dev/shm can be written to.

    entrypoint: instead of the image's. variables: besides the image's. shown: folders of this machine that lie over the
    image's, read-only. network: of this machine, instead of none.
    """

    image: Image
    arguments: Sequence[str]
    entrypoint: Sequence[str] | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    shown: Sequence[Path] = ()
    network: bool = False

    def configuration(self) -> dict[str, Any]:
        """Return it as a runtime reads it."""
        config = self.image.config
        user, group = map(int, config["User"].split(":"))
        variables = dict(line.split("=", 1) for line in config["Env"]) | dict(self.variables)
        namespaces = _NAMESPACES if self.network else (*_NAMESPACES, "network")
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*(self.entrypoint or config["Entrypoint"]), *self.arguments],
                "env": [f"{name}={value}" for name, value in variables.items()],
                "cwd": config["WorkingDir"],
                "capabilities": {},
                "noNewPrivileges": True,
            },
            "root": {"path": "rootfs", "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                *(_temporary(path, option) for path, option in _TEMPORARY.items()),
                *(_shown(path) for path in self.shown),
            ],
            "linux": {
                "cgroupsPath": f"/{CGROUP}/engine",
                "namespaces": [{"type": name} for name in namespaces],
            },
        }

    def command(self, folder: Path) -> list[str]:
        """Unpack the image below `folder`, and return the command that runs it until it ends."""
        root = folder / "rootfs"
        root.mkdir()
        self.image.unpack(root)
        (folder / "config.json").write_text(json.dumps(self.configuration()))
        return contained(["runc", f"--root={folder / 'runc'}", "run", f"--bundle={folder}", "engine"])


def run_container(container: Container, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end, and return what it printed. Kills it when that does not come."""
    command = container.command(folder)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=RUN_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def running_container(container: Container, folder: Path, log: Path) -> Generator[subprocess.Popen[bytes]]:
    """Start it, and kill it at the end. What it prints goes into `log`."""
    command = container.command(folder)
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def _temporary(path: str, option: str) -> dict[str, Any]:
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", option]}


def _shown(path: Path) -> dict[str, Any]:
    return {"destination": str(path), "type": "bind", "source": str(path), "options": ["rbind", "ro"]}
