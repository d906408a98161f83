"""One request's trace: begun by the real gateway, carried on by a real vLLM, chosen and cleaned by the real collector.

Here the engine and the collector are processes of the node behind Services, and the collector writes to a file instead of Tempo.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from components.addons.envoy_gateway import OWN_API, PROXY, proxy_spec
from components.addons.otel_collector import gateway_values
from components.addons.otel_pipelines import GRPC_PORT
from components.addons.otel_traces import GATEWAY as COLLECTOR
from components.engine_args import tracing_args
from components.engine_files import tracing_environment
from components.node_agents import MONITORING_NAMESPACE
from rehearsal.collector.loopback import LOOPBACK, Place, ports
from rehearsal.collector.process import Collector
from rehearsal.cpu_engine.process import EngineError, free_port, python
from rehearsal.cpu_engine.tiny_models import make_tiny_models
from settings.observability import SampledTracing
from tests.gateway.calls import gateway_line
from tests.gateway.dataplane import CONTROLLERS, MODELS, DataPlane
from tests.gateway.models import MODEL, sections
from tests.image.engine import request_lines, starting_pod
from tests.rehearsal.conftest import tools
from tests.spans import Span, spans_in, writing_spans

pytestmark = pytest.mark.gateway

ENGINE: Final = "real-engine"
SECRET: Final = "a-word-that-nobody-else-says"  # noqa: S105 - what a caller writes
FORGED: Final = "0af7651916cd43dd8448eb211c80319c"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True, kw_only=True)
class Traced:
    """One request that was answered. id: as the answer's header has it."""

    plane: DataPlane
    id: str
    engine_log: Path
    metrics_url: str
    spans: list[Span]


def _engine_has(path: Path, request_id: str) -> dict[str, Any] | None:
    found = [line for line in request_lines(path.read_text("utf-8")) if line["request_id"] == request_id]
    return found[0] if found else None


def _collector(folder: Path, spans: Path) -> Collector:
    tracing = SampledTracing(kind="sampled", percent=100)
    values = gateway_values(logs=False, traces=True, replicas=1, monitored=False, tracing=tracing)
    configuration = writing_spans(values["alternateConfig"], "traces", spans)
    place = Place(folder=folder / "collector", logs=folder, ports=ports(), texts={})
    return Collector(tools().bin("otelcol"), configuration, place)


@pytest.fixture(scope="module")
def traced(plane: DataPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """Ask once, through a gateway that writes spans, with a text in everything that a client may write."""
    try:
        python()
    except EngineError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("traces")
    settings = plane.settings("gateway", sections())
    (model,) = settings.enabled_models
    spans, log, metrics_port = folder / "spans.json", folder / "engine.log", free_port()
    with _collector(folder, spans) as collector:
        address = f"{LOOPBACK}:{collector.place.ports.grpc}"
        variables = {one["name"]: one["value"] for one in tracing_environment(model, address)}
        with starting_pod(
            model,
            make_tiny_models(folder / "models").chat,
            log,
            metrics_port=metrics_port,
            variables=variables,
            flags=tracing_args(address),
        ) as engine:
            plane.lead(COLLECTOR, MONITORING_NAMESPACE, GRPC_PORT, (LOOPBACK, collector.place.ports.grpc))
            plane.lead(ENGINE, MODELS, 80, (LOOPBACK, engine.port))
            meta = {"name": PROXY, "namespace": CONTROLLERS}
            spec = proxy_spec(replicas=1, traced=True)
            plane.api.apply({"apiVersion": OWN_API, "kind": "EnvoyProxy", "metadata": meta, "spec": spec})
            plane.route("to-the-engine", {ENGINE: 1})
            engine.wait_until_healthy()

            def ask() -> httpx.Response:
                return httpx.post(
                    f"{plane.route_urls()[0]}/v1/chat/completions?key={SECRET}",
                    json={
                        "model": model.served_name,
                        "messages": [{"role": "user", "content": SECRET}],
                        "max_tokens": 3,
                    },
                    headers={"traceparent": f"00-{FORGED}-b7ad6b7169203331-01", "user-agent": SECRET},
                    trust_env=False,
                    timeout=60,
                )

            plane.until("the gateway writes spans", lambda: ask().is_success and spans_in(spans))
            answer = ask()
            assert answer.status_code == 200, answer.text
            found: list[Span] = []

            def there() -> bool:
                line = _engine_has(log, answer.headers["x-request-id"])
                found[:] = [one for one in spans_in(spans) if line and one["traceId"] == line["trace_id"]]
                return len({one["resource"]["service.name"] for one in found}) > 1

            plane.until("the spans of gateway and engine are in one trace", there)
            yield Traced(
                plane=plane,
                id=answer.headers["x-request-id"],
                engine_log=log,
                metrics_url=f"http://{LOOPBACK}:{metrics_port}/metrics",
                spans=found,
            )


def test_one_id_is_in_both_logs_in_the_exemplar_and_in_every_span(traced: Traced) -> None:
    of_gateway = gateway_line(traced.plane, traced.id)
    of_engine = _engine_has(traced.engine_log, traced.id)
    assert of_engine is not None
    (trace,) = {span["traceId"] for span in traced.spans}
    assert of_gateway["trace_id"] == of_engine["trace_id"] == trace
    text = httpx.get(traced.metrics_url, headers={"Accept": OPEN_METRICS}, trust_env=False).text
    counted = [line for line in text.splitlines() if line.startswith("vllm_platform_requests_total{")]
    assert any(f'trace_id="{trace}"' in line for line in counted)


def test_the_engine_s_span_is_part_of_the_gateway_s(traced: Traced) -> None:
    by_service: dict[str, list[Span]] = {}
    for span in traced.spans:
        by_service.setdefault(span["resource"]["service.name"], []).append(span)
    assert set(by_service) == {"gateway", MODEL}
    ids = {span["spanId"] for span in by_service["gateway"]}
    (engine,) = [span for span in by_service[MODEL] if span["name"] == "llm_request"]
    assert engine["parentSpanId"] in ids
    assert {"gen_ai.usage.prompt_tokens", "gen_ai.latency.time_to_first_token"} <= set(engine["attributes"])


def test_a_client_begins_no_trace(traced: Traced) -> None:
    assert {span["traceId"] for span in traced.spans} != {FORGED}
    (root,) = [span for span in traced.spans if not span.get("parentSpanId")]
    assert root["resource"]["service.name"] == "gateway"


def test_no_span_has_a_text_of_the_client_s(traced: Traced) -> None:
    written = json.dumps(traced.spans)
    assert SECRET not in written
    # It is there, without what comes after the path.
    assert re.search(r"/v1/chat/completions\"", written)
