"""The image's log, written by a real engine: the same numbers as clients saw, one line each, and not a word of theirs."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import psutil
import pytest

from settings.models import Model
from tests.image.conftest import PodEngine
from tests.image.engine import Log
from tests.promql import known

pytestmark = pytest.mark.image

MARKER: Final = "MARKER-7f3a"
CHAT: Final = "/v1/chat/completions"
STREAMS: Final = 200
LONG: Final = 6000
"""Tokens of a stream that its client does not wait for: more than a machine with other work writes meanwhile."""
LEAVING: Final = 5
"""Every fifth client leaves."""


@pytest.fixture
def chat(pod_engine: PodEngine) -> Iterator[httpx.Client]:
    """A client of the engine with the middleware."""
    with pod_engine.engine.client() as client:
        yield client


@pytest.fixture
def log(pod_engine: PodEngine) -> Log:
    return Log(pod_engine.engine)


def _chat(model: Model, **fields: object) -> dict[str, Any]:
    question = [{"role": "user", "content": "Tell me something long."}]
    return {"model": model.name, "messages": question, "max_tokens": 24, "ignore_eos": True, **fields}


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_of_a_whole_answer_the_line_says_what_the_client_saw(
    chat: httpx.Client, log: Log, chat_model: Model
) -> None:
    answer = chat.post(
        CHAT, json=_chat(chat_model), headers={"x-user-id": "alice", "x-request-id": "0123abcd"}
    )
    (line,) = log.lines()
    usage = answer.json()["usage"]
    assert (line["prompt_tokens"], line["completion_tokens"]) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )
    assert line["finish_reason"] == answer.json()["choices"][0]["finish_reason"] == "length"
    assert (line["status_code"], line["stream"], line["client_disconnected"]) == (200, False, False)
    assert (line["service"], line["model"], line["user_id"]) == (chat_model.name, chat_model.name, "alice")
    assert line["request_id"] == answer.headers["x-request-id"] == "0123abcd"
    assert answer.json()["id"].endswith("0123abcd")


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_of_a_stream_tokens_are_right_whether_the_client_asks_or_not(
    chat: httpx.Client, log: Log, chat_model: Model, path: str, *, asked: bool
) -> None:
    body = _chat(chat_model, stream=True, **({"stream_options": {"include_usage": True}} if asked else {}))
    if path != CHAT:
        body["prompt"] = body.pop("messages")[0]["content"]
    answer = chat.post(path, json=body)
    (line,) = log.lines()
    told = [event["usage"] for event in _events(answer.text) if event.get("usage")]
    assert bool(told) is asked
    # The prompt's number is what the same question costs without a stream.
    whole = chat.post(path, json={**body, "stream": False, "stream_options": None}).json()["usage"]
    for usage in (*told, whole):
        assert (line["prompt_tokens"], line["completion_tokens"]) == (
            usage["prompt_tokens"],
            usage["completion_tokens"],
        )
    assert 0 < line["time_to_first_token_ms"] <= line["total_time_ms"]
    assert (line["stream"], line["finish_reason"]) == (True, "length")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, {"messages": [{"role": "user", "content": MARKER}], "max_tokens": MARKER}, 400),
        (CHAT, {"model": MARKER, "messages": [{"role": "user", "content": "x"}]}, 404),
        (CHAT, {"messages": MARKER}, 400),
        (f"/v1/{MARKER}", {}, 404),
    ],
)
def test_an_error_is_a_line_and_tells_nothing_of_the_request(
    chat: httpx.Client, log: Log, path: str, body: Mapping[str, Any], status: int
) -> None:
    assert chat.post(path, json=body).status_code == status
    (line,) = log.lines()
    assert line["status_code"] == status
    assert MARKER not in json.dumps(line)


def test_no_word_of_a_request_is_in_anything_that_the_engine_prints(
    chat: httpx.Client, log: Log, chat_model: Model
) -> None:
    names: list[str] = ["x-user-id", "x-request-id", "user-agent", "x-other", "cookie"]
    headers = dict.fromkeys(names, f"{MARKER} x")
    messages = [
        {"role": "system", "content": MARKER},
        {"role": "user", "name": MARKER, "content": [{"type": "text", "text": MARKER}]},
        {"role": "assistant", "content": None, "tool_calls": [_call()]},
        {"role": "tool", "tool_call_id": MARKER, "content": MARKER},
        {"role": "user", "content": MARKER},
    ]
    answer = chat.post(
        CHAT,
        params={"q": MARKER},
        json=_chat(chat_model, messages=messages, user=MARKER, metadata={"m": MARKER}, stream=True),
        headers=headers,
    )
    assert answer.status_code == 200
    log.lines()
    assert MARKER not in log.text


def _call() -> dict[str, Any]:
    return {
        "id": MARKER,
        "type": "function",
        "function": {"name": MARKER, "arguments": json.dumps({"a": MARKER})},
    }


def test_metrics_have_a_port_of_their_own(
    chat: httpx.Client, pod_engine: PodEngine, chat_model: Model
) -> None:
    chat.post(CHAT, json=_chat(chat_model))
    text = httpx.get(pod_engine.metrics_url, trust_env=False).text
    version = chat_model.image.tag
    assert f'vllm_platform_requests_total{{endpoint="{CHAT}",model_name="{chat_model.name}"' in text
    assert f'model_version="{version}"' in text
    assert "vllm:generation_tokens_total" in text
    shown = {line.partition("{")[0] for line in text.splitlines()}
    assert known()["vllm"] | known()["middleware"] <= shown


@pytest.fixture
def memory(pod_engine: PodEngine) -> Iterator[list[int]]:
    """Resident bytes of the engine before, and after the test."""
    process = psutil.Process(pod_engine.engine.pid)
    found = [process.memory_info().rss]
    yield found
    found.append(process.memory_info().rss)


async def _stream(client: httpx.AsyncClient, body: Mapping[str, Any], *, leaves: bool) -> int:
    """Read a stream, or its first events. Return how many events were read."""
    events = 0
    async with client.stream("POST", CHAT, json=body) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            events += line.startswith("data: {")
            if leaves and events >= 2:
                return events
    return events


def test_of_many_streams_each_has_its_line_and_nothing_stays(
    pod_engine: PodEngine, log: Log, chat_model: Model, memory: list[int]
) -> None:
    """200 at once, of which a fifth of the clients leaves."""

    async def all_of_them() -> list[int]:
        limits = httpx.Limits(max_connections=STREAMS)
        async with httpx.AsyncClient(
            base_url=pod_engine.engine.url, trust_env=False, timeout=120, limits=limits
        ) as client:
            calls = [
                _stream(
                    client,
                    _chat(chat_model, stream=True, max_tokens=LONG if index % LEAVING == 0 else 24),
                    leaves=index % LEAVING == 0,
                )
                for index in range(STREAMS)
            ]
            return await asyncio.gather(*calls)

    assert len(asyncio.run(all_of_them())) == STREAMS
    lines = log.lines(STREAMS)
    assert len({line["request_id"] for line in lines}) == STREAMS
    left = [line for line in lines if line["client_disconnected"]]
    assert len(left) == STREAMS // LEAVING
    assert all(2 <= line["completion_tokens"] < LONG for line in left)
    assert {line["completion_tokens"] for line in lines if not line["client_disconnected"]} == {24}
    # What runs on is ended, too: an engine that goes on for nobody would take GPUs from others.
    text = httpx.get(pod_engine.metrics_url, trust_env=False).text
    (running,) = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running{")]
    assert float(running.split()[-1]) == 0
    memory.append(psutil.Process(pod_engine.engine.pid).memory_info().rss)
    assert memory[-1] - memory[0] < 200 * 2**20
