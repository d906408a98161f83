"""A real vLLM, of the release that the image holds, on the CPU: started, waited for and ended.

It stands in a virtual environment of its own, which `make .venv-engine/.made` makes.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import httpx

from rehearsal.errors import UserError

VENV: Final = Path(__file__).resolve().parents[2] / ".venv-engine"
CACHE: Final = VENV / "cache"
"""What the engine keeps between runs. It saves a process, and 10 s, that looks into the model's class."""

START_SECONDS: Final = 300
"""22 s and 1.1 GiB with two idle cores, 50 to 70 s with other tests beside it."""
STOP_SECONDS: Final = 60
"""5 s idle, besides what is still generated."""
POLL_SECONDS: Final = 0.1
LOG_LINES: Final = 60

# Without compiling, which takes minutes on a CPU and needs a C++ compiler.
QUICK: Final = ("--enforce-eager",)

_NUMA: Final = "libnuma.so.1"
NO_NUMA: Final = f"vLLM for CPUs needs {_NUMA} (Debian, Ubuntu: apt install libnuma1)"

CPU_VARIABLES: Final = {
    # The model runs in the engine's process instead of one more: 3 s and 400 MiB less. Only the binding of
    # threads to cores, which this leaves out, needs that process.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    # Else it looks for the address by which the machine would reach the internet.
    "VLLM_HOST_IP": "127.0.0.1",
}

# A watcher beside the engine: when the process that asked for it dies without a word (SIGKILL), its end of the pipe
# closes, and the watcher ends the group. SIGTERM would not do: an engine that is still starting can hang at it.
_LAUNCH: Final = """
import os, signal, sys
if os.fork() == 0:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class EngineError(UserError):
    """vLLM can not be started here, ended by itself, or is late."""


def can_run() -> bool:
    """Whether this machine has the library that vLLM for CPUs loads first."""
    try:
        ctypes.CDLL(_NUMA)
    except OSError:
        return False
    return True


def python() -> Path:
    """Return the Python that has vLLM. Raises EngineError."""
    if not can_run():
        raise EngineError(NO_NUMA)
    if not (VENV / "bin" / "vllm").exists():
        raise EngineError("vLLM is not installed: run `make .venv-engine/.made`")
    return VENV / "bin" / "python"


class Engine:
    """One running `vllm serve` on loopback. Its processes are a group of their own, so that all of them can be ended."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self.port = port
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
        """Whether the API server still runs."""
        return self._process.poll() is None

    def wait_until_healthy(self, seconds: float = START_SECONDS) -> None:
        """Return when /health answers 200. Raises EngineError, with the end of the log, when the engine ends or is late."""
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
        """Wait for the end; return the exit code. Raises EngineError when it does not come."""
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
        raise EngineError(f"{what}; the end of {self.log}:\n{self.tail()}")


@contextlib.contextmanager
def starting(
    command: Sequence[str], log: Path, variables: Mapping[str, str] | None = None, *, port: int = 0
) -> Generator[Engine]:
    """Start a server on a port of loopback (0: a free one), and end it at the end, however that comes.

    Does not wait for /health. Of this process's environment it gets only PATH; `variables` come on top of what a CPU needs.

    :param command: a program by its path, which takes `--host` and `--port` besides.
    """
    port = port or free_port()
    address = ["--host=127.0.0.1", f"--port={port}"]
    environment = {"PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}", **CPU_VARIABLES}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [str(python()), "-c", _LAUNCH, *command, *address],
            env=environment | dict(variables or {}),
            cwd=log.parent,
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal ends this process, and it the engine.
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
def starting_engine(
    model: Path, flags: Sequence[str], log: Path, variables: Mapping[str, str] | None = None, *, port: int = 0
) -> Generator[Engine]:
    """Start `vllm serve model flags` as `starting` does."""
    command = [str(VENV / "bin" / "vllm"), "serve", str(model), *flags]
    with starting(command, log, variables, port=port) as engine:
        yield engine


@contextlib.contextmanager
def running_engine(
    model: Path, flags: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
) -> Generator[Engine]:
    """Start an engine as `starting_engine` does and wait for /health."""
    with starting_engine(model, flags, log, variables) as engine:
        engine.wait_until_healthy()
        yield engine


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
