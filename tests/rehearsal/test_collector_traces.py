"""The real collector, as the gateway is configured: which traces it keeps, that none is torn apart, and what stays of a span.

Two of them, as two pods; their addresses are written down instead of looked up, and a file is written instead of Tempo.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from components.addons.otel_collector import gateway_values
from rehearsal.collector.loopback import LOOPBACK, Place, Ports, ports
from rehearsal.collector.process import Collector
from rehearsal.toolchain import find_tools
from settings.observability import SampledTracing
from tests.rehearsal.collector_world import until
from tests.spans import Span, spans_in, writing_spans

pytestmark = pytest.mark.rehearsal

TEXT: Final = "a-word-that-nobody-else-says"
SLOW_SECONDS: Final = 30
ERROR: Final = 2
"""Of OTLP: STATUS_CODE_ERROR."""


@dataclass
class Two:
    """Both collectors, and the file that each writes."""

    ports: list[Ports]
    files: list[Path]
    turn: int = field(default=0)

    def send(self, spans: list[Span], service: str = "gateway", to: int | None = None) -> None:
        """Send spans of one service. to: which of both; None is the other one each time."""
        self.turn += 1
        resource = {"attributes": [_attribute("service.name", service)]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
        port = self.ports[self.turn % 2 if to is None else to].http
        httpx.post(f"http://{LOOPBACK}:{port}/v1/traces", json=body, trust_env=False).raise_for_status()

    def kept(self) -> list[list[Span]]:
        """Return what each has written."""
        return [spans_in(file) for file in self.files]

    def traces(self) -> set[str]:
        """Return the ids of all traces that were kept."""
        return {span["traceId"] for spans in self.kept() for span in spans}


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _span(
    trace: str, attributes: Mapping[str, str] | None = None, *, seconds: float = 0.1, status: int = 0
) -> Span:
    ended = time.time_ns()
    return {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "request",
        "kind": 2,
        "startTimeUnixNano": str(ended - round(seconds * 1e9)),
        "endTimeUnixNano": str(ended),
        "status": {"code": status, "message": TEXT},
        "attributes": [_attribute(key, value) for key, value in (attributes or {}).items()],
    }


def _trace() -> str:
    return secrets.token_hex(16)


def _running(folder: Path, percent: float) -> Callable[[], Iterator[Two]]:
    tracing = SampledTracing(kind="sampled", percent=percent, slower_than_seconds=SLOW_SECONDS)
    places = [
        Place(folder=folder / name, logs=folder, ports=ports(), texts={}) for name in ("first", "second")
    ]
    peers = [f"{LOOPBACK}:{place.ports.peers}" for place in places]

    def collector(place: Place) -> Collector:
        values = gateway_values(logs=False, traces=True, replicas=2, monitored=False, tracing=tracing)
        file = place.folder / "spans.json"
        configuration = writing_spans(values["alternateConfig"], "traces/kept", file)
        # No name leads to pods here.
        configuration["exporters"]["load_balancing"]["resolver"] = {"static": {"hostnames": peers}}
        return Collector(find_tools(["otelcol"]).bin("otelcol"), configuration, place)

    def run() -> Iterator[Two]:
        with collector(places[0]), collector(places[1]):
            yield Two(
                ports=[place.ports for place in places],
                files=[place.folder / "spans.json" for place in places],
            )

    return run


@pytest.fixture(scope="module")
def choosing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Of what nothing is remarkable about none is kept."""
    yield from _running(tmp_path_factory.mktemp("choosing"), 0)()


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """All are kept."""
    yield from _running(tmp_path_factory.mktemp("keeping"), 100)()


def test_failed_and_slow_requests_are_kept_and_the_share_of_none_is_none(choosing: Two) -> None:
    ordinary = [_trace() for _ in range(40)]
    failed, slow = _trace(), _trace()
    for trace in ordinary:
        choosing.send([_span(trace)])
    choosing.send([_span(failed, status=ERROR)])
    choosing.send([_span(slow, seconds=SLOW_SECONDS + 1)])
    until(lambda: choosing.traces() >= {failed, slow})
    # What was sent before is decided by now too.
    assert choosing.traces() == {failed, slow}


def test_a_trace_is_decided_whole_whichever_pod_took_its_spans(choosing: Two) -> None:
    """The gateway's span came to one and says that the request failed; the engine's to the other, and says nothing."""
    traces = [_trace() for _ in range(20)]
    for trace in traces:
        choosing.send([_span(trace)], "qwen-7b-vllm", to=0)
        choosing.send([_span(trace, status=ERROR)], to=1)
    wanted = set(traces)
    until(lambda: len([s for spans in choosing.kept() for s in spans if s["traceId"] in wanted]) == 40)
    for spans in choosing.kept():
        for trace in {span["traceId"] for span in spans} & wanted:
            assert len([span for span in spans if span["traceId"] == trace]) == 2
    # Both decide, each for its share.
    assert all({span["traceId"] for span in spans} & wanted for spans in choosing.kept())


def test_a_span_keeps_what_can_not_be_a_text(keeping: Two) -> None:
    trace = _trace()
    planted = {
        "http.url": f"https://llm.example.com/v1/chat/completions?prompt={TEXT}",
        "user_agent": TEXT,
        "gen_ai.prompt": TEXT,
        "gen_ai.request.id": "chatcmpl-1",
        "http.status_code": "200",
    }
    event = {"name": "exception", "attributes": [_attribute("exception.message", TEXT)]}
    keeping.send([{**_span(trace, planted), "events": [event]}])
    until(lambda: trace in keeping.traces())
    (span,) = [span for spans in keeping.kept() for span in spans if span["traceId"] == trace]
    assert TEXT not in json.dumps(span)
    assert span["attributes"] == {
        "http.url": "https://llm.example.com/v1/chat/completions",
        "gen_ai.request.id": "chatcmpl-1",
        "http.status_code": "200",
    }


def test_spans_of_others_keep_their_own_fields_but_those_that_are_named_as_text(keeping: Two) -> None:
    trace = _trace()
    keeping.send([_span(trace, {"db.statement": "select 1", "gen_ai.prompt": TEXT})], "rag")
    until(lambda: trace in keeping.traces())
    (span,) = [span for spans in keeping.kept() for span in spans if span["traceId"] == trace]
    assert span["attributes"]["db.statement"] == "select 1"
    assert TEXT not in json.dumps(span["attributes"])
