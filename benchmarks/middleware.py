"""What the image's middleware adds to a server: the same server with it and without, turn by turn in one run."""

import asyncio
import contextlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.filter_rules import RULES, long_prompt
from benchmarks.part import Bench
from benchmarks.report import Measurement
from benchmarks.streams import Load, load
from rehearsal.cpu_engine.process import QUICK, Engine, python, starting, starting_engine
from rehearsal.cpu_engine.tiny_models import make_tiny_models

STREAMS: Final = 64
MIDDLEWARE: Final = "vllm_platform_middleware.Middleware"
SERVER: Final = Path(__file__).with_name("paced_server.py")
# Turns of each server for each run that is asked for: what differs is small, so it is measured often.
_TURNS: Final = 6
PACE_MS: Final = 20
"""From token to token: 50 a second for each stream, 3,200 for all."""
TOKENS: Final = 50
SHORT: Final = 8
_MILLISECONDS: Final = 1e3
_MICROSECONDS: Final = 1e6
WITHOUT: Final = "without"
WITH: Final = "with"
FILTERING: Final = "filtering"
_SAID: Final = {WITHOUT: "without it", WITH: "with it", FILTERING: "with it and its filter"}
PACED: Final = {
    "first": (f"first event at {STREAMS} streams", "ms"),
    "gap": (f"event to event at {STREAMS} streams", "ms"),
    "total": (f"answer of {TOKENS} events at {STREAMS} streams", "ms"),
    "rate": (f"answers at {STREAMS} streams", "1/s"),
    "busy_request": ("processor time of a short answer", "µs"),
    "busy_event": ("processor time of an event", "µs"),
    "long": ("answer to 8,000 tokens", "ms"),
    "others": ("event to event of others meanwhile, 99 of 100", "ms"),
}
"""Figures of the paced server, each with its words and its unit."""
ENGINE: Final = {
    "first": (f"vLLM: first event at {STREAMS} streams", "ms"),
    "gap": (f"vLLM: event to event at {STREAMS} streams", "ms"),
    "rate": (f"vLLM: answers of {TOKENS} events at {STREAMS} streams", "1/s"),
    "busy_answer": (f"vLLM: processor time of an answer of {TOKENS} events", "ms"),
    "busy_short": (f"vLLM: processor time of a whole answer of {SHORT} tokens", "ms"),
    "short_rate": (f"vLLM: whole answers of {SHORT} tokens, {STREAMS} at once", "1/s"),
    "short_total": (f"vLLM: whole answer of {SHORT} tokens, {STREAMS} at once", "ms"),
}
"""Figures of the real engine."""


class _Figures:
    """Values by figure and server."""

    def __init__(self) -> None:
        self._values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, figure: str, server: str, value: float) -> None:
        self._values[figure, server].append(value)

    def measurements(self, prefix: str, figures: Mapping[str, tuple[str, str]]) -> list[Measurement]:
        """Return all of them. `figures`: for each its words and its unit."""
        return [
            Measurement(
                name=f"{prefix}_{figure}_{server}",
                what=f"{figures[figure][0]}, {_SAID[server]}",
                unit=figures[figure][1],
                values=tuple(values),
            )
            for (figure, server), values in self._values.items()
        ]


def paced(bench: Bench) -> list[Measurement]:
    """A server that streams at a set pace, one that answers as fast as it can, and one that filters."""
    figures = _Figures()
    with _folder() as folder, contextlib.ExitStack() as stack:
        rules = folder / "filter.json"
        rules.write_text(json.dumps({"rules": RULES}), encoding="utf-8")
        variables = {WITHOUT: {}, WITH: {}, FILTERING: {"VP_FILTER_FILE": str(rules)}}
        servers = {
            name: stack.enter_context(_paced_server(bench, folder, name, own))
            for name, own in variables.items()
        }
        for server in servers.values():
            server.wait_until_healthy()
        for turn in range(bench.runs * _TURNS):
            for name in _order((WITHOUT, WITH), turn):
                _at_its_pace(servers[name], name, figures)
                _as_fast_as_it_can(servers[name], name, figures)
            for name in _order((WITH, FILTERING), turn):
                _with_long_prompts(servers[name], name, figures)
    return figures.measurements("middleware", PACED)


def engine(bench: Bench) -> list[Measurement]:
    """The real `vllm serve` on the CPU, with a tiny model."""
    figures = _Figures()
    with _folder() as folder, contextlib.ExitStack() as stack:
        weights = make_tiny_models(folder / "models").chat
        flags = [
            *QUICK,
            "--served-model-name=tiny",
            "--kv-cache-memory-bytes=64M",
            f"--max-num-seqs={STREAMS}",
            "--no-enable-log-requests",
            "--disable-uvicorn-access-log",
        ]
        servers = {
            name: stack.enter_context(
                starting_engine(
                    weights,
                    [*flags, *([f"--middleware={MIDDLEWARE}"] if name == WITH else [])],
                    folder / f"{name}.log",
                    _variables(bench),
                )
            )
            for name in (WITHOUT, WITH)
        }
        for server in servers.values():
            server.wait_until_healthy()
        for turn in range(-1, bench.runs * _TURNS):
            for name in _order((WITHOUT, WITH), turn):
                # The first turn warms it.
                _of_engine(servers[name], name, figures if turn >= 0 else _Figures())
    return figures.measurements("vllm", ENGINE)


def _at_its_pace(server: Engine, name: str, figures: _Figures) -> None:
    body = _body("paced", TOKENS, stream=True, pace_ms=PACE_MS)
    found = _load(server, body, each=1, spread=TOKENS * PACE_MS / 1000)
    figures.add("first", name, found.first)
    figures.add("gap", name, found.gap)
    figures.add("total", name, found.total)
    figures.add("rate", name, found.rate)


def _as_fast_as_it_can(server: Engine, name: str, figures: _Figures) -> None:
    found, busy = _load_and_busy(server, _body("paced", SHORT, stream=False), each=100)
    figures.add("busy_request", name, busy / found.answers * _MICROSECONDS)
    found, busy = _load_and_busy(server, _body("paced", 20 * TOKENS, stream=True), each=1)
    figures.add("busy_event", name, busy / found.events * _MICROSECONDS)


def _with_long_prompts(server: Engine, name: str, figures: _Figures) -> None:
    """One client asks with 8,000 tokens, up to 20 times a second; meanwhile the streams of others go on."""

    async def both() -> tuple[Load, Load]:
        port = _port(server)
        others = load(
            port, _body("paced", TOKENS, stream=True, pace_ms=PACE_MS), streams=STREAMS, each=1, spread=0.5
        )
        long = load(
            port, _body("paced", SHORT, stream=False, content=long_prompt()), streams=1, each=20, pause=0.05
        )
        found = await asyncio.gather(others, long)
        return found[0], found[1]

    others, long = asyncio.run(both())
    figures.add("long", name, long.total)
    figures.add("others", name, others.worst_gap)


def _of_engine(server: Engine, name: str, figures: _Figures) -> None:
    found, busy = _load_and_busy(server, _body("tiny", TOKENS, stream=True), each=4)
    figures.add("first", name, found.first)
    figures.add("gap", name, found.gap)
    figures.add("rate", name, found.rate)
    figures.add("busy_answer", name, busy / found.answers * _MILLISECONDS)
    found, busy = _load_and_busy(server, _body("tiny", SHORT, stream=False), each=8)
    figures.add("short_rate", name, found.rate)
    figures.add("short_total", name, found.total)
    figures.add("busy_short", name, busy / found.answers * _MILLISECONDS)


def _load(server: Engine, body: Mapping[str, Any], *, each: int, spread: float = 0) -> Load:
    return asyncio.run(load(_port(server), body, streams=STREAMS, each=each, spread=spread))


def _body(
    model: str, tokens: int, *, stream: bool, content: str = "Tell me something.", **more: int
) -> dict[str, Any]:
    question = [{"role": "user", "content": content}]
    return {"model": model, "messages": question, "max_tokens": tokens, "stream": stream, **more}


def _order(names: Sequence[str], turn: int) -> Sequence[str]:
    """Who begins changes, so that what the machine does besides hits both."""
    return names if turn % 2 == 0 else names[::-1]


def _paced_server(
    bench: Bench, folder: Path, name: str, variables: Mapping[str, str]
) -> contextlib.AbstractContextManager[Engine]:
    command = [str(python()), str(SERVER), *([] if name == WITHOUT else [f"--middleware={MIDDLEWARE}"])]
    return starting(command, folder / f"{name}.log", _variables(bench) | dict(variables))


def _variables(bench: Bench) -> dict[str, str]:
    return {"PYTHONPATH": str(bench.repository / "docker" / "vllm"), "VP_METRICS_PORT": "0"}


def _port(server: Engine) -> int:
    return int(server.url.rpartition(":")[2])


def _load_and_busy(server: Engine, body: Mapping[str, Any], *, each: int) -> tuple[Load, float]:
    """Return the load, and the seconds of processor time that the server and what it started took for it."""
    own = psutil.Process(server.pid)
    processes = [own, *own.children(recursive=True)]
    before = sum(map(_processor_seconds, processes))
    found = _load(server, body, each=each)
    return found, sum(map(_processor_seconds, processes)) - before


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="vllm-platform-bench-") as folder:
        yield Path(folder)
