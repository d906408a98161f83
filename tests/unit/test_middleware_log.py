"""The log of the image: a line for each request, right in every number, and without a text."""

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vllm_platform_middleware.answer import AnswerWatch
from vllm_platform_middleware.configuration import Configuration, ConfigurationError, read
from vllm_platform_middleware.middleware import Middleware
from vllm_platform_middleware.record import RequestRecord, request_id, trace_id, user_id

from tests.unit.fake_engine import Answer, Client, Engine

pytestmark = pytest.mark.unit

CONFIGURATION: Final = Configuration(service="chat", model_version="1.2", metrics_port=0)
MARKER: Final = "MARKER-7f3a"
Serve = Callable[..., tuple[Answer, dict[str, Any]]]


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Serve:
    """Serve one request; return what the client saw, and the one line."""

    def run(engine: Engine, client: Client | None = None) -> tuple[Answer, dict[str, Any]]:
        answer = asyncio.run((client or Client()).call(Middleware(engine, CONFIGURATION)))
        (line,) = capsys.readouterr().out.splitlines()
        return answer, json.loads(line)

    return run


class TestLine:
    def test_it_has_the_fields_that_were_promised(self, serve: Serve) -> None:
        _, line = serve(Engine())
        assert set(line) == set(RequestRecord._fields)
        assert (line["service"], line["model"], line["endpoint"]) == ("chat", "chat", "/v1/chat/completions")
        assert line["timestamp"].endswith("+00:00")

    def test_of_a_stream_tokens_are_the_engine_s_and_the_first_byte_is_timed(self, serve: Serve) -> None:
        answer, line = serve(Engine())
        assert (line["stream"], line["prompt_tokens"], line["completion_tokens"]) == (True, 7, 3)
        assert 0 <= line["time_to_first_token_ms"] <= line["total_time_ms"]
        assert (line["status_code"], line["finish_reason"]) == (200, "length")
        assert line["client_disconnected"] is False
        assert answer.complete

    def test_a_stream_passes_as_it_is(self, serve: Serve) -> None:
        plain = asyncio.run(Client().call(Engine()))
        answer, _ = serve(Engine())
        assert answer.pieces == plain.pieces

    @pytest.mark.parametrize("aggregate", [True, False])
    def test_of_a_whole_answer_tokens_are_known_too(self, serve: Serve, *, aggregate: bool) -> None:
        _, line = serve(Engine(stream=False, aggregate=aggregate))
        assert (line["stream"], line["prompt_tokens"], line["completion_tokens"]) == (False, 7, 3)
        assert line["time_to_first_token_ms"] is None
        assert line["finish_reason"] == "stop"

    def test_of_a_client_that_left_the_events_are_counted_that_were_sent(self, serve: Serve) -> None:
        _, line = serve(Engine(tokens=["x"] * 50), Client(leaves_after=5))
        assert line["client_disconnected"] is True
        assert 5 <= line["completion_tokens"] < 50
        assert line["status_code"] == 200

    def test_a_failure_is_a_line_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        engine = Engine(failure=RuntimeError(MARKER))
        with pytest.raises(RuntimeError):
            asyncio.run(Client().call(Middleware(engine, CONFIGURATION)))
        (line,) = capsys.readouterr().out.splitlines()
        assert json.loads(line)["status_code"] == 500
        assert MARKER not in line

    def test_a_server_that_gives_up_midway_leaves_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        async def cut() -> None:
            task = asyncio.ensure_future(Client().call(Middleware(_Endless(), CONFIGURATION)))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cut())
        (line,) = capsys.readouterr().out.splitlines()
        assert (json.loads(line)["status_code"], json.loads(line)["client_disconnected"]) == (499, True)

    @pytest.mark.parametrize("path", ["/health", "/metrics", "/ping", "/version", "/load"])
    def test_what_machines_ask_is_not_logged(self, capsys: pytest.CaptureFixture[str], path: str) -> None:
        answer = asyncio.run(Client(path=path, method="GET").call(Middleware(Engine(), CONFIGURATION)))
        assert answer.status == 200
        assert capsys.readouterr().out == ""


class _Endless:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG002 - ASGI
        await asyncio.sleep(60)


class TestNames:
    def test_the_user_is_whom_the_gateway_s_header_names(self, serve: Serve) -> None:
        _, line = serve(Engine(), Client(headers=[("x-user-id", "alice@example"), ("user", "mallory")]))
        assert line["user_id"] == "alice@example"

    def test_without_the_header_there_is_none_whatever_the_body_says(self, serve: Serve) -> None:
        _, line = serve(Engine(), Client(body=json.dumps({"user": "mallory"}).encode()))
        assert line["user_id"] is None

    def test_the_engine_and_the_client_hear_the_same_id(self, serve: Serve) -> None:
        engine = Engine()
        answer, line = serve(engine, Client(headers=[("X-Request-Id", "0123abcd-4567")]))
        assert line["request_id"] == answer.headers["x-request-id"] == "0123abcd-4567"
        assert engine.ids == ["0123abcd-4567"]

    def test_an_id_that_is_none_is_replaced_before_the_engine_logs_it(self, serve: Serve) -> None:
        engine = Engine()
        _, line = serve(engine, Client(headers=[("x-request-id", MARKER)]))
        assert engine.ids == [line["request_id"]]
        assert MARKER not in line["request_id"]

    def test_the_trace_is_the_gateway_s(self, serve: Serve) -> None:
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        _, line = serve(Engine(), Client(headers=[("traceparent", parent)]))
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"

    @pytest.mark.parametrize("parent", ["", MARKER, f"00-{MARKER:0<32}-b7ad6b7169203331-01"])
    def test_without_one_in_its_form_there_is_none(self, serve: Serve, parent: str) -> None:
        _, line = serve(Engine(), Client(headers=[("traceparent", parent)] if parent else []))
        assert line["trace_id"] is None

    @given(st.text())
    def test_no_text_is_an_identifier(self, text: str) -> None:
        assert trace_id(text) is None
        assert " " not in request_id(text + " ")
        assert user_id(text + " ") == "invalid"
        assert len(user_id(text) or "") <= 128


class TestNoText:
    """Markers in every place of a request and of an answer that a person can write to."""

    BODY: Final[dict[str, Any]] = {
        "model": MARKER,
        "messages": [
            {"role": "system", "content": MARKER},
            {"role": "user", "name": MARKER, "content": [{"type": "text", "text": MARKER}]},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;{MARKER}"}}],
            },
            {"role": "assistant", "tool_calls": [{"function": {"name": MARKER, "arguments": MARKER}}]},
            {"role": "tool", "tool_call_id": MARKER, "content": MARKER},
        ],
        "tools": [{"type": "function", "function": {"name": MARKER, "description": MARKER}}],
        "user": MARKER,
        "metadata": {MARKER: MARKER},
        "stop": [MARKER],
    }
    HEADERS: Final = [
        (name, f"{MARKER} secret")
        for name in (
            "x-user-id",
            "x-request-id",
            "authorization",
            "user-agent",
            "cookie",
            "x-other",
            "referer",
        )
    ]

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("leaves_after", [None, 1])
    def test_none_is_in_the_line(
        self, capsys: pytest.CaptureFixture[str], *, stream: bool, leaves_after: int | None
    ) -> None:
        client = Client(
            path=f"/v1/{MARKER}",
            body=json.dumps(self.BODY).encode(),
            headers=self.HEADERS,
            leaves_after=leaves_after,
        )
        engine = Engine(stream=stream, tokens=[MARKER, f'"finish_reason":"{MARKER}"', '"usage":{"x":"y"}'])
        asyncio.run(client.call(Middleware(engine, CONFIGURATION)))
        printed = capsys.readouterr()
        assert json.loads(printed.out)["endpoint"] == "other"
        assert MARKER not in printed.out + printed.err

    def test_every_field_is_a_number_or_of_a_checked_form(self) -> None:
        """A field for a text would have to be added here, under the eyes of a reviewer."""
        kinds = {name: str(kind) for name, kind in RequestRecord.__annotations__.items()}
        words = {name for name, kind in kinds.items() if "str" in kind}
        assert words == {
            "timestamp",
            "service",
            "request_id",
            "trace_id",
            "user_id",
            "model",
            "endpoint",
            "finish_reason",
            "refused_by",
        }


class TestAnswerWatch:
    ANSWER: Final = (
        b'{"choices":[{"text":"\\"usage\\":{\\"prompt_tokens\\":99}","finish_reason":"tool_calls"}],'
        b'"usage":{"prompt_tokens":12,"total_tokens":20,"completion_tokens":8,'
        b'"prompt_tokens_details":{"cached_tokens":4}}}'
    )

    @given(st.lists(st.integers(0, len(ANSWER)), max_size=6))
    def test_however_it_is_cut_it_is_read_alike(self, cuts: list[int]) -> None:
        watch = AnswerWatch(stream=False)
        places = [0, *sorted(cuts), len(self.ANSWER)]
        for start, end in pairwise(places):
            watch.see(self.ANSWER[start:end])
        assert (watch.prompt_tokens, watch.completion_tokens) == (12, 8)
        assert watch.finish_reason == "tool_calls"

    STREAM: Final = b"data: " + ANSWER + b"\n\ndata: [DONE]\n\n"

    @given(st.lists(st.integers(0, len(STREAM)), max_size=6))
    def test_however_a_stream_is_cut_it_is_read_alike(self, cuts: list[int]) -> None:
        watch = AnswerWatch(stream=True)
        for start, end in pairwise([0, *sorted(cuts), len(self.STREAM)]):
            watch.see(self.STREAM[start:end])
        assert (watch.prompt_tokens, watch.completion_tokens) == (12, 8)
        assert watch.finish_reason == "tool_calls"

    def test_other_apis_have_other_words(self) -> None:
        watch = AnswerWatch(stream=True)
        watch.see(b'data: {"type":"message_delta","usage":{"input_tokens":3,"output_tokens":5}}\n\n')
        assert (watch.prompt_tokens, watch.completion_tokens) == (3, 5)

    def test_a_word_that_is_none_of_the_list_is_other(self) -> None:
        watch = AnswerWatch(stream=False)
        watch.see(b'{"finish_reason":"marker"}')
        assert watch.finish_reason == "other"


class TestConfiguration:
    def test_without_variables_it_has_defaults(self) -> None:
        assert read({}) == Configuration()

    def test_variables_are_read(self) -> None:
        found = read({"VP_SERVICE": "moe", "VP_USER_HEADER": "X-Who", "VP_METRICS_PORT": "0"})
        assert (found.service, found.user_header, found.metrics_port) == ("moe", "x-who", 0)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("VP_SERVICE", "a b"),
            ("VP_MODEL_VERSION", ""),
            ("VP_USER_HEADER", "x:y"),
            ("VP_METRICS_PORT", "70000"),
        ],
    )
    def test_what_can_not_be_used_is_named(self, key: str, value: str) -> None:
        with pytest.raises(ConfigurationError, match=key):
            read({key: value})
