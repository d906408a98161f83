"""Logs, from a file on a node to Loki and to the audit bucket, by the real collector: nothing leaks, nothing is lost.

Real: both collectors, with the program's configurations, the files, the queues on disk. What is put in the place of a
cluster is listed in `rehearsal/collector/loopback.py`; beyond that S3's address, how long its batch waits, and that the
gateway does not mask once more, so that what arrives is what has left the node.
"""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from components.addons.otel_collector import gateway_values
from components.addons.otel_lines import FIELDS
from rehearsal.collector.pod_logs import PodLog
from rehearsal.toolchain import find_tools
from settings.observability import SampledTracing
from tests.rehearsal.collector_world import NAMESPACE, World, agent_chart, until, world
from tests.rehearsal.planted import SHAPES, WORD, text

pytestmark = pytest.mark.rehearsal

ENGINE: Final = "kserve-container"
AWAY_SECONDS: Final = 60
PLANTED: Final = 250
"""Of each shape."""
REQUESTS: Final = 2500
ACCESSES: Final = 1000
BESIDE: Final = {"file"}
"""For tests that look at traces."""
PASSING: Final = (
    "(APIServer pid=1) INFO 11-28 23:39:33 [loggers.py:310] Engine 000: Avg prompt throughput: 12.0 tokens/s, Running: 3 reqs",
    "(EngineCore pid=77) INFO 11-28 23:39:33 [gpu_model_runner.py:4567] Model loading took 5.2 GiB",
    "(EngineCore pid=77) ERROR 11-28 23:39:33 [core.py:91] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
    '  File "/usr/lib/python3/vllm/engine.py", line 12, in step',
    "Traceback (most recent call last):",
    "INFO:     Application startup complete.",
    'INFO:     10.0.1.2:51234 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
    "INFO:     Started server process [1]",
)
"""Of an engine, and left as they are."""


def request_line(number: int) -> dict[str, Any]:
    """Return a line of the middleware's."""
    return {
        "timestamp": "2026-11-28T23:39:33.123Z",
        "service": "qwen-7b-vllm",
        "request_id": f"{number:032x}",
        "user_id": f"user-{number % 7}",
        "model": "qwen-7b-vllm",
        "endpoint": "/v1/chat/completions",
        "prompt_tokens": 5 + number,
        "completion_tokens": None if number % 10 == 0 else 7,
        "total_time_ms": 12.5,
        "time_to_first_token_ms": 3.25,
        "status_code": 200,
        "stream": True,
        "finish_reason": "stop",
        "client_disconnected": False,
        "refused_by": None,
    }


def access_line(number: int) -> dict[str, Any]:
    """Return a line of the gateway's."""
    return {
        "timestamp": "2026-11-28T23:39:33.123Z",
        "service": "gateway",
        "request_id": f"gateway-{number}",
        "user_id": "consumer",
        "model": "qwen-7b-vllm",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status_code": 200,
        "total_time_ms": 12,
        "bytes_sent": 512,
    }


def test_the_tool_has_the_parts_that_are_configured_and_no_others() -> None:
    binary = find_tools(["otelcol"]).bin("otelcol")
    said = subprocess.run([binary, "components"], capture_output=True, text=True, check=True).stdout
    built = yaml.safe_load(said)
    configured = [
        agent_chart(),
        gateway_values(
            logs=True, traces=True, replicas=2, monitored=True, tracing=SampledTracing(kind="sampled")
        ),
        gateway_values(logs=False, traces=False, replicas=2, monitored=True),
    ]
    for kind in ("receivers", "processors", "exporters", "extensions"):
        used = {name.partition("/")[0] for values in configured for name in values["alternateConfig"][kind]}
        found = {part["name"] for part in built[kind]}
        assert used <= found, kind
        assert found - used <= BESIDE, kind


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("collector")) as running:
        yield running


def _planted(container: PodLog) -> int:
    """Write every shape. Return how many lines that are."""
    lines = [shape(text(number)) for number in range(PLANTED) for shape in SHAPES.values()]
    container.write(lines)
    return sum(line.count("\n") + 1 for line in lines)


def _by_id(here: World) -> dict[str, dict[str, Any]]:
    return {
        line.attributes["request_id"]: line.attributes
        for line in here.sink.lines()
        if "request_id" in line.attributes
    }


def test_of_ten_thousand_lines_no_text_leaves_and_every_field_arrives(here: World) -> None:
    engine = here.container(NAMESPACE, "qwen-7b-vllm-predictor-abc", ENGINE)
    envoy = here.container(NAMESPACE, "envoy-api-gateway-abc", "envoy")
    other = here.container("rag", "rag-abc", "app")
    requests = [request_line(number) for number in range(REQUESTS)]
    accesses = [access_line(number) for number in range(ACCESSES)]
    written = _planted(engine) + REQUESTS + ACCESSES + len(PASSING)
    engine.write([*(json.dumps(line) for line in requests), *PASSING])
    envoy.write(json.dumps(line) for line in accesses)
    # A name is enough for other containers, whose lines are not masked for their form.
    named = [SHAPES[name](text(1)) for name in list(SHAPES)[:14]] * 50
    other.write([*named, "a line of an application"])
    written += len(named) + 1
    assert written > 10_000
    until(lambda: here.sink.count() >= written)
    lines = here.sink.lines()

    assert len(lines) == written
    assert [line.body for line in lines if WORD.encode() in line.raw] == []
    arrived = _by_id(here)
    for line in (*requests, *accesses):
        told = {key: value for key, value in line.items() if value is not None}
        assert {key: arrived[line["request_id"]].get(key) for key in told} == told
    bodies = {line.body for line in lines}
    assert [line for line in PASSING if line not in bodies] == []
    assert "a line of an application" in bodies


def test_an_engine_s_line_has_no_field_but_the_known_ones(here: World) -> None:
    here.sink.forget()
    odd = {**request_line(1), "note": text(1), "model": [text(2)], "user_id": {"x": text(3)}}
    here.container(NAMESPACE, "qwen-7b-vllm-predictor-odd", ENGINE).write([json.dumps(odd)])
    until(lambda: here.sink.count() >= 1)
    (line,) = here.sink.lines()
    assert WORD.encode() not in line.raw
    assert set(json.loads(line.body)) <= set(FIELDS) - {"model", "user_id", "note"}


def test_the_bucket_has_the_gateway_s_lines_as_they_were_and_no_others(here: World) -> None:
    """Loki has them too: whoever looks for a request finds it there."""
    written = [json.dumps(access_line(number)) for number in range(ACCESSES)]
    until(lambda: len(here.audit_lines()) >= ACCESSES)
    assert Counter(here.audit_lines()) == Counter(written)
    (first, *_) = here.s3.list_objects_v2(Bucket="acme-audit")["Contents"]
    assert first["Key"].startswith("gateway/20")
    head = here.s3.head_object(Bucket="acme-audit", Key=first["Key"])
    assert head["ObjectLockMode"] == "COMPLIANCE"


def test_nothing_is_lost_while_loki_is_away_and_the_collectors_are_killed(here: World) -> None:
    """At least once: what was on its way when a collector was killed comes twice, and nothing else does."""
    here.sink.forget()
    engine = here.container(NAMESPACE, "qwen-7b-vllm-predictor-away", ENGINE)
    began, number = time.monotonic(), 0

    def write(seconds: float) -> None:
        nonlocal number
        until_then = began + seconds
        while time.monotonic() < until_then:
            engine.write([json.dumps(request_line(100_000 + number + extra)) for extra in range(20)])
            number += 20
            time.sleep(0.2)

    write(5)
    here.sink.close()
    write(20)
    here.agent.kill()
    write(22)
    # Half of what was not read is in a file that a kubelet has put aside meanwhile.
    engine.rotate()
    write(24)
    here.agent.start()
    write(40)
    here.gateway.kill()
    here.agent.stop()
    here.gateway.start()
    here.agent.start()
    write(AWAY_SECONDS + 5)
    here.sink.open()
    wanted = {f"{100_000 + each:032x}" for each in range(number)}
    until(lambda: wanted <= _by_id(here).keys())
    came = Counter(
        line.attributes["request_id"] for line in here.sink.lines() if "request_id" in line.attributes
    )
    assert sorted(wanted - came.keys()) == []
    twice = sum(times - 1 for times in came.values())
    # A poll of the files, and a batch.
    assert twice <= 200, f"{twice} of {number} came twice"
