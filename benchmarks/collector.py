"""The log agent: lines a second, processor time of a line and memory, with what masks text and without.

The agent and its gateway are the real collector, with the configuration that the program renders for prod; the agent's
half of it is taken away for the baseline. They read files that were there before the start, as after an outage. Lines
are half those of requests and half vLLM's own, and none is longer than such lines are.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.machine import MEGABYTE
from benchmarks.memory import sampled
from benchmarks.part import Bench
from benchmarks.report import Measurement
from ops.program_graph import program_graph
from rehearsal.collector.loopback import LOOPBACK, Place, ports
from rehearsal.collector.pod_logs import PodLog
from rehearsal.collector.process import Collector
from rehearsal.collector.sink import Sink
from rehearsal.errors import UserError
from rehearsal.toolchain import ensure_tools

STACK: Final = "prod"
LINES: Final = 40_000
SECONDS: Final = 300
MASKING: Final = ("transform", "redaction")
AUDIT: Final = "logs/audit"
_VLLM: Final = "(EngineCore pid=77) INFO 11-28 23:39:33 [loggers.py:310] Engine 000: Avg prompt throughput: 12.0 tokens/s, Running: 3 reqs"
_REQUEST: Final = {
    "timestamp": "2026-11-28T23:39:33.123Z",
    "service": "qwen-7b-vllm",
    "user_id": "user-1",
    "model": "qwen-7b-vllm",
    "endpoint": "/v1/chat/completions",
    "prompt_tokens": 512,
    "completion_tokens": 200,
    "total_time_ms": 1234.5,
    "time_to_first_token_ms": 123.4,
    "status_code": 200,
    "stream": True,
    "finish_reason": "stop",
    "client_disconnected": False,
}


@dataclass(frozen=True, kw_only=True)
class _Run:
    rate: float
    busy_us: float
    peak_mb: float


def agent(bench: Bench) -> list[Measurement]:
    """Measure both, in turns."""
    binary = ensure_tools(["otelcol"], bench.console).bin("otelcol")
    values = _values(bench.repository)
    found: dict[str, list[_Run]] = {"with": [], "without": []}
    for kind in (*found,) * bench.runs:
        configuration = values["otel-agent"] if kind == "with" else _unmasked(values["otel-agent"])
        found[kind].append(_run(binary, configuration, values["otel-gateway"]))
    return [
        Measurement(
            name=f"collector_{name}_{kind}",
            what=f"log agent, {what}, {kind} masking",
            unit=unit,
            values=tuple(getattr(run, field) for run in runs),
        )
        for kind, runs in found.items()
        for name, what, unit, field in (
            ("rate", "lines a second", "1/s", "rate"),
            ("busy", "processor time of a line", "µs", "busy_us"),
            ("memory", "memory at most", "MB", "peak_mb"),
        )
    ]


def _values(repository: Path) -> dict[str, dict[str, Any]]:
    """Return the collectors' configurations, by release, as the program renders them."""
    releases = {
        resource["inputs"].get("name"): resource["inputs"]
        for resource in program_graph(STACK, repository).resources
        if resource["type"].endswith(":Release")
    }
    return {name: releases[name]["values"]["alternateConfig"] for name in ("otel-agent", "otel-gateway")}


def _unmasked(configuration: Mapping[str, Any]) -> dict[str, Any]:
    changed = json.loads(json.dumps(configuration))
    for pipeline in changed["service"]["pipelines"].values():
        pipeline["processors"] = [name for name in pipeline["processors"] if name not in MASKING]
    return changed


def _run(binary: Path, configuration: Mapping[str, Any], gateway: Mapping[str, Any]) -> _Run:
    # Nothing here speaks S3.
    mine = json.loads(json.dumps(configuration))
    mine["service"]["pipelines"].pop(AUDIT, None)
    with tempfile.TemporaryDirectory(prefix="vp-bench-") as folder, Sink() as sink:
        root = Path(folder)
        (exporter,) = gateway["service"]["pipelines"]["logs"]["exporters"]
        loki = gateway["exporters"][exporter]["endpoint"].removesuffix("/otlp")
        logs = root / "pods"
        behind = Place(folder=root / "gateway", logs=logs, ports=ports(), texts={loki: sink.url})
        address = mine["exporters"]["otlp_grpc"]["endpoint"]
        texts = {address: f"{LOOPBACK}:{behind.ports.grpc}"}
        first = Place(folder=root / "agent", logs=logs, ports=ports(), texts=texts)
        container = PodLog(root=logs, namespace="llm-prod", pod="predictor-a", container="kserve-container")
        container.write(
            json.dumps({**_REQUEST, "request_id": f"{number:032x}"}) if number % 2 else _VLLM
            for number in range(LINES)
        )
        with Collector(binary, gateway, behind), Collector(binary, mine, first) as reader:
            process = psutil.Process(reader.pid)
            with sampled(lambda: process.memory_info().rss / MEGABYTE) as peak:
                _until(sink, 1)
                began = time.perf_counter()
                _until(sink, LINES)
                took = time.perf_counter() - began
            used = process.cpu_times()
    return _Run(rate=LINES / took, busy_us=(used.user + used.system) * 1e6 / LINES, peak_mb=peak.mb)


def _until(sink: Sink, count: int) -> None:
    deadline = time.monotonic() + SECONDS
    while sink.count() < count:
        if time.monotonic() > deadline:
            message = f"after {SECONDS} s {sink.count()} of {LINES} lines had come"
            raise UserError(message)
        time.sleep(0.01)
