"""A model's pod on the CPU: the flags and variables that it has, as far as this machine can run them."""

import contextlib
import json
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from components.engine_args import engine_args
from components.engine_files import TMP, engine_environment
from rehearsal.cpu_engine.process import CACHE, QUICK, VENV, Engine, starting_engine
from settings.models import Model

LINE_SECONDS: Final = 10


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


@contextlib.contextmanager
def starting_pod(
    model: Model,
    weights: Path,
    log: Path,
    *,
    port: int = 0,
    metrics_port: int = 0,
    variables: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Generator[Engine]:
    """Start an engine with the flags and variables of the model's pod, and the image's middleware.

    `port` 0 is a free one, `metrics_port` 0 no metrics. `variables` and `flags` come on top.
    """
    own = {
        "PYTHONPATH": str(VENV.parent / "docker" / "vllm"),
        "VP_METRICS_HOST": "127.0.0.1",
        "VP_METRICS_PORT": str(metrics_port),
    }
    of_pod = flags_on_cpu(engine_args(model), keep={"--middleware"})
    environment = environment_on_cpu(model) | own | dict(variables or {})
    with starting_engine(weights, [*of_pod, *flags], log, environment, port=port) as engine:
        yield engine


@contextlib.contextmanager
def running_pod(model: Model, weights: Path, log: Path, *, metrics_port: int = 0) -> Generator[Engine]:
    """Start an engine as `starting_pod` does and wait for /health."""
    with starting_pod(model, weights, log, metrics_port=metrics_port) as engine:
        engine.wait_until_healthy()
        yield engine


def request_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines that the image's middleware wrote."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]


class Log:
    """The lines of requests in an engine's log, from a moment on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._start = engine.log.stat().st_size

    @property
    def text(self) -> str:
        return self._engine.log.read_bytes()[self._start :].decode(errors="replace")

    def lines(self, count: int = 1) -> list[dict[str, Any]]:
        """Return so many lines; fails when there are more, or fewer after a while."""
        deadline = time.monotonic() + LINE_SECONDS
        found: list[dict[str, Any]] = []
        while len(found) < count and time.monotonic() < deadline:
            found = request_lines(self.text)
            time.sleep(0.05)
        assert len(found) == count
        return found
