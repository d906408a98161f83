"""A real vLLM, of the release that the image holds, on the CPU: what a test starts, asks and stops."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import pytest

from components.engine_args import engine_args
from components.engine_files import TMP, engine_environment
from settings.models import Model

VENV: Final = Path(__file__).resolve().parents[2] / ".venv-engine"
CACHE: Final = VENV / "cache"
"""What the engine keeps between runs. It saves a process, and 10 s, that looks into the model's class."""

START_SECONDS: Final = 300
"""22 s and 1.1 GiB with two idle cores, 50 to 70 s with other tests beside it."""
STOP_SECONDS: Final = 60
"""5 s idle, besides what is still generated."""
POLL_SECONDS: Final = 0.1
LOG_LINES: Final = 60


@dataclass(frozen=True, kw_only=True)
class Change:
    """What takes the place of a flag of a real pod, and why."""

    instead: tuple[str, ...] = ()
    why: str


CHANGED_ON_CPU: Final[Mapping[str, Change]] = {
    "--host": Change(why="0.0.0.0 is every address of this machine; the engine here listens on loopback"),
    "--port": Change(why="a free one, so that several engines run at once"),
    "--gpu-memory-utilization": Change(
        instead=("--kv-cache-memory-bytes=64M",),
        why="on a CPU it is a share of the machine's main memory; 64 MiB hold 65,536 tokens of a tiny model",
    ),
    "--tensor-parallel-size": Change(why="a process for each GPU, each of which would take a core"),
    "--enable-expert-parallel": Change(why="the tiny model has no experts"),
    "--middleware": Change(why="the image's, for the tests that keep it: all others are about vLLM alone"),
    "--load-format": Change(why="the tiny model lies in a folder; the streamer is not installed"),
    "--model-loader-extra-config": Change(why="the streamer's"),
}

# Besides the changes: without compiling, which takes minutes on a CPU and needs a C++ compiler.
QUICK: Final = ("--enforce-eager",)

_ENVIRONMENT: Final = {
    # The model runs in the engine's process instead of one more: 3 s and 400 MiB less. Only the binding of
    # threads to cores, which this leaves out, needs that process.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    # Else it looks for the address by which the machine would reach the internet.
    "VLLM_HOST_IP": "127.0.0.1",
}

# A watcher beside the engine: when the test process dies without a word (SIGKILL), its end of the pipe closes, and the
# watcher ends the group. SIGTERM would not do: an engine that is still starting can hang at it.
_LAUNCH: Final = """
import os, signal, sys
if os.fork() == 0:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def flags_on_cpu(args: Sequence[str], *, keep: Collection[str] = ()) -> list[str]:
    """Return the flags of a pod's `vllm serve` as this machine can run them, without the model. `keep`: names left as they are."""
    flags: list[str] = []
    for flag in args[1:]:
        name = flag.partition("=")[0]
        change = None if name in keep else CHANGED_ON_CPU.get(name)
        flags += [flag] if change is None else change.instead
    return [*flags, *QUICK]


def environment_on_cpu(model: Model) -> dict[str, str]:
    """Return the variables of the model's pod, with its scratch folders below `CACHE`."""
    return {
        variable["name"]: variable["value"].replace(f"{TMP}/", f"{CACHE}/")
        for variable in engine_environment(model, region="us-east-1")
    }


def python() -> Path:
    """Return the Python that has vLLM. Fails the test where it was not installed; skips it where it could not run."""
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        pytest.skip("vLLM for CPUs needs libnuma.so.1 (Debian, Ubuntu: apt install libnuma1)")
    found = VENV / "bin" / "python"
    if not (VENV / "bin" / "vllm").exists():
        pytest.fail("vLLM is not installed: run `make .venv-engine/.made`", pytrace=False)
    return found


class Engine:
    """One running `vllm serve` on loopback. Its processes are a group of their own, so that all of them can be ended."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    @property
    def pid(self) -> int:
        """Process id of the API server, which is the parent of the engine's."""
        return self._process.pid

    def client(self) -> httpx.Client:
        """Return a client that no proxy setting of this machine leads elsewhere."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until_healthy(self, seconds: float = START_SECONDS) -> None:
        """Return when /health answers 200. Fails the test, with the end of the log, when the engine ends or is late."""
        deadline = time.monotonic() + seconds
        with httpx.Client(base_url=self.url, trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                if not self.running():
                    self._fail(f"the engine ended with {self._process.returncode}")
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health").is_success:
                        return
                time.sleep(POLL_SECONDS)
        self._fail(f"/health did not answer 200 within {seconds:g} s")

    def terminate(self) -> None:
        """Send SIGTERM, as the kubelet does, and return at once."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end; return the exit code. Fails the test when it does not come."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._fail(f"the engine did not end within {seconds:g} s")

    def stop(self) -> int:
        """End it as a pod ends; return the exit code."""
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End every process that is left of it. Nothing is left to do after `stop`."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.communicate()

    def tail(self, lines: int = LOG_LINES) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _fail(self, what: str) -> NoReturn:
        pytest.fail(f"{what}; the end of {self.log}:\n{self.tail()}", pytrace=False)


@contextlib.contextmanager
def starting_engine(
    model: Path, flags: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
) -> Generator[Engine]:
    """Start `vllm serve model flags` on a free port of loopback, and end it at the end, however that comes. Does not wait for /health.

    Of this process's environment it gets only PATH; `variables` come on top of what a CPU needs.
    """
    port = free_port()
    command = [str(python()), "-c", _LAUNCH, str(VENV / "bin" / "vllm"), "serve", str(model)]
    address = ["--host=127.0.0.1", f"--port={port}"]
    environment = {"PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}", **_ENVIRONMENT}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, *flags, *address],
            env=environment | dict(variables or {}),
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal ends the tests, and they the engine.
            start_new_session=True,
        )
    engine = Engine(process, port, log)
    try:
        yield engine
    finally:
        if engine.running():
            engine.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS / 4)
        engine.kill()


@contextlib.contextmanager
def running_engine(
    model: Path, flags: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
) -> Generator[Engine]:
    """Start an engine as `starting_engine` does and wait for /health."""
    with starting_engine(model, flags, log, variables) as engine:
        engine.wait_until_healthy()
        yield engine


@contextlib.contextmanager
def running_pod(model: Model, weights: Path, log: Path, *, metrics_port: int = 0) -> Generator[Engine]:
    """Start an engine with the flags and variables of the model's pod, and the image's middleware. Port 0: no metrics."""
    variables = {
        "PYTHONPATH": str(VENV.parent / "docker" / "vllm"),
        "VP_METRICS_HOST": "127.0.0.1",
        "VP_METRICS_PORT": str(metrics_port),
    }
    flags = flags_on_cpu(engine_args(model), keep={"--middleware"})
    with running_engine(weights, flags, log, environment_on_cpu(model) | variables) as engine:
        yield engine


def request_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines that the image's middleware wrote."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
