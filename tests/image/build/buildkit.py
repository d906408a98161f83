"""BuildKit, the builder of production, as a daemon of the tests: on a socket in their own folder, with nothing kept."""

import contextlib
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from rehearsal.errors import UserError
from rehearsal.toolchain import find_tools
from tests.image.build.contained import CGROUP, contained, skip_where_it_can_not_run, stop
from tests.image.build.oci_layout import Image

START_SECONDS: Final = 60
BUILD_SECONDS: Final = 300
POLL_SECONDS: Final = 0.05
LOG_LINES: Final = 40


@dataclass(frozen=True, kw_only=True)
class Base:
    """What stands in for an image of a registry."""

    layout: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """What `docker build` is told.

    bases: what stands in for each image that the Dockerfile names, by its name.
    secrets: file of each secret. options: of the frontend, besides those.
    """

    context: Path
    bases: Mapping[str, Base]
    target: str = "baked"
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, Path] = field(default_factory=dict[str, Path])
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    use_cache: bool = True

    def flags(self) -> list[str]:
        """Return the flags of `buildctl build`."""
        flags = ["--frontend=dockerfile.v0", "--progress=plain"]
        flags += [f"--local={name}={self.context}" for name in ("context", "dockerfile")]
        options = {"target": self.target, "cgroup-parent": CGROUP, **self.options}
        options |= {f"build-arg:{name}": value for name, value in self.arguments.items()}
        for index, (name, base) in enumerate(self.bases.items()):
            # As `docker buildx build --build-context NAME=oci-layout://...` does.
            flags.append(f"--oci-layout=base{index}={base.layout}")
            options[f"context:{name}"] = f"oci-layout://base{index}@{base.digest}"
        flags += [f"--opt={name}={value}" for name, value in options.items()]
        flags += [f"--secret=id={name},src={file}" for name, file in self.secrets.items()]
        return flags if self.use_cache else [*flags, "--no-cache"]


@dataclass(frozen=True, kw_only=True)
class BuildKit:
    """A running daemon. `folder` is its own, and the images' that it made."""

    buildctl: Path
    folder: Path
    made: list[Path] = field(default_factory=list[Path])

    def image(self, build: Build) -> Image:
        """Build, and return the image. Fails the test, with the end of the build's log, where that fails."""
        layout = self.folder / f"image-{len(self.made)}"
        self.made.append(layout)
        done = self.run(build, [f"--output=type=oci,tar=false,dest={layout}"])
        if done.returncode != 0:
            pytest.fail(f"the build failed:\n{tail(done.stderr)}", pytrace=False)
        return Image(layout=layout)

    def refusal(self, build: Build) -> str:
        """Build what must not be built, and return the build's log. Fails the test where it is built."""
        done = self.run(build, [])
        assert done.returncode != 0, f"it was built:\n{tail(done.stderr)}"
        return done.stderr

    def run(self, build: Build, output: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a build to its end."""
        command = [self.buildctl, f"--addr={_address(self.folder)}", "build", *build.flags(), *output]
        return subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)


@contextlib.contextmanager
def running_buildkit(folder: Path) -> Generator[BuildKit]:
    """Start the daemon, and end it at the end. Skips the test where it could not run, fails it where it was not built."""
    skip_where_it_can_not_run()
    try:
        tools = find_tools(["buildkit"])
    except UserError:
        pytest.fail("BuildKit is not built: run `vp tools build buildkit`", pytrace=False)
    log = folder / "buildkitd.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            contained([tools.bin("buildkitd"), *_daemon_flags(folder)]),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal ends the tests, and they the daemon.
            start_new_session=True,
        )
    buildkit = BuildKit(buildctl=tools.bin("buildctl"), folder=folder)
    try:
        _wait(buildkit, process, log)
        yield buildkit
    finally:
        stop(process)


def tail(text: str) -> str:
    """Return the end of a log."""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _daemon_flags(folder: Path) -> list[str]:
    return [
        f"--root={folder / 'state'}",
        f"--addr={_address(folder)}",
        f"--otel-socket-path={folder / 'otel.sock'}",
        "--containerd-worker=false",
        "--oci-worker=true",
        "--oci-worker-binary=runc",
        # pip reaches its index as this machine does, and the hubs of the tests are on loopback.
        "--oci-worker-net=host",
        # All goes with the folder.
        "--oci-worker-gc=false",
    ]


def _address(folder: Path) -> str:
    return f"unix://{folder / 'buildkitd.sock'}"


def _wait(buildkit: BuildKit, process: subprocess.Popen[bytes], log: Path) -> None:
    probe = [buildkit.buildctl, f"--addr={_address(buildkit.folder)}", "debug", "workers"]
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(probe, capture_output=True, timeout=START_SECONDS, check=False).returncode == 0:
            return
        time.sleep(POLL_SECONDS)
    pytest.fail(f"buildkitd did not start:\n{tail(log.read_text(errors='replace'))}", pytrace=False)
