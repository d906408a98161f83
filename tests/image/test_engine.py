"""What the pinned vLLM does on the wire, without the image's middleware: what middleware, gateway and probes build on.

Streams, byte for byte (0.32.0). Each event is `data: JSON` and an empty line, the last `data: [DONE]`; lines end
with a bare newline; a response's head has `content-type: text/event-stream; charset=utf-8` and no content-length.

Without `stream_options` no event has a key `usage`, not even null: who counts tokens must ask for it. The first
event of a chat has `"delta":{"role":"assistant","content":""}`, the last before [DONE] the `finish_reason` and
`system_fingerprint`:

    data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1795551006,"model":"…","choices":[{"index":0,
        "delta":{"content":"l"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}],
        "system_fingerprint":"vllm-0.32.0-…"}

With `{"include_usage":true}` one more event comes before [DONE], alone, and takes `system_fingerprint` with it; the
others still have no key `usage`:

    data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1795551006,"model":"…","choices":[],
        "usage":{"prompt_tokens":21,"total_tokens":25,"completion_tokens":4},"system_fingerprint":"vllm-0.32.0-…"}
"""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from rehearsal.cpu_engine.process import Engine, running_engine
from rehearsal.cpu_engine.tiny_models import HIDDEN, WRITTEN, TinyModels, chat_prompt_tokens
from settings.models import Model
from tests.image.engine import environment_on_cpu, flags_on_cpu, request_lines, running_pod

pytestmark = pytest.mark.image

VLLM_KEEP_ALIVE = 5
"""Seconds, where nothing says otherwise (vllm/envs.py)."""
DRAIN_SECONDS = 30
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
PROMPT = "Tell me a secret."
# At 250 tokens a second and more it is still going on when the signal comes.
LONG = 3000


def chat_body(model: str, tokens: int = 4, **more: object) -> dict[str, object]:
    message = {"role": "user", "content": PROMPT}
    return {"model": model, "messages": [message], "max_tokens": tokens, "temperature": 0, **more}


def completion_body(model: str, tokens: int = 4, **more: object) -> dict[str, object]:
    return {"model": model, "prompt": PROMPT, "max_tokens": tokens, "temperature": 0, **more}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A whole answer as it came."""

    headers: httpx.Headers
    raw: bytes

    def events(self) -> list[dict[str, Any]]:
        """Return the JSON of all events; the stream must have ended with [DONE]."""
        *events, done, rest = self.raw.split(b"\n\n")
        assert (done, rest) == (b"data: [DONE]", b"")
        return [json.loads(event.removeprefix(b"data: ")) for event in events]


def stream(client: httpx.Client, path: str, body: dict[str, object]) -> Stream:
    with client.stream("POST", path, json=body | {"stream": True}) as response:
        assert response.is_success, response.read()
        return Stream(headers=response.headers, raw=b"".join(response.iter_raw()))


def text_of(events: list[dict[str, Any]]) -> str:
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"]["content"] if "delta" in choice else choice["text"] for choice in choices)


def test_a_chat_is_answered_with_as_many_tokens_as_were_asked_for(
    chat: httpx.Client, chat_model: Model
) -> None:
    answer = chat.post(CHAT, json=chat_body(chat_model.name, tokens=40)).raise_for_status().json()
    (choice,) = answer["choices"]
    prompt = chat_prompt_tokens(PROMPT)
    assert answer["usage"]["prompt_tokens"] == prompt
    assert answer["usage"]["completion_tokens"] == 40
    assert answer["usage"]["total_tokens"] == prompt + 40
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) == 40
    assert set(choice["message"]["content"]) <= set(WRITTEN)


def test_the_same_chat_is_answered_the_same(chat: httpx.Client, chat_model: Model) -> None:
    body = chat_body(chat_model.name, tokens=20)
    first, second = (chat.post(CHAT, json=body).raise_for_status().json() for _ in range(2))
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]


def test_a_completion_is_answered(chat: httpx.Client, chat_model: Model) -> None:
    answer = chat.post(COMPLETION, json=completion_body(chat_model.name)).raise_for_status().json()
    assert answer["usage"]["prompt_tokens"] == len(PROMPT)
    assert answer["usage"]["completion_tokens"] == len(answer["choices"][0]["text"]) == 4


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_a_stream_holds_no_usage_unless_asked(chat: httpx.Client, chat_model: Model, path: str) -> None:
    body = (chat_body if path == CHAT else completion_body)(chat_model.name)
    answer = stream(chat, path, body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers
    assert b"usage" not in answer.raw
    assert b"\r" not in answer.raw
    assert len(text_of(answer.events())) == 4


@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_a_streams_usage_comes_last_and_alone(chat: httpx.Client, chat_model: Model, path: str) -> None:
    body = (chat_body if path == CHAT else completion_body)(chat_model.name)
    answer = stream(chat, path, body | {"stream_options": {"include_usage": True}})
    *events, last = answer.events()
    prompt = chat_prompt_tokens(PROMPT) if path == CHAT else len(PROMPT)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": prompt, "total_tokens": prompt + 4, "completion_tokens": 4}
    assert not any("usage" in event for event in events)
    assert answer.raw.count(b'"usage":') == 1
    assert len(text_of(events)) == 4


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"messages": "no list"}, (400, "Bad Request", "body.messages")),
        ({"max_tokens": 9000}, (400, "BadRequestError", "max_tokens")),
        ({"model": "other"}, (404, "NotFoundError", "model")),
    ],
)
def test_a_bad_request_is_refused_in_openais_form(
    chat: httpx.Client, chat_model: Model, change: dict[str, object], wanted: tuple[int, str, str]
) -> None:
    answer = chat.post(CHAT, json=chat_body(chat_model.name) | change)
    error = answer.json()["error"]
    assert (error["code"], error["type"], error["param"]) == wanted
    assert answer.status_code == error["code"]


def test_a_refusal_says_the_refused_text_again(chat: httpx.Client, chat_model: Model) -> None:
    """An error's message is no place without prompts: it must not be logged."""
    answer = chat.post(CHAT, json=chat_body(chat_model.name) | {"messages": PROMPT})
    assert PROMPT in answer.json()["error"]["message"]


def test_the_engine_logs_no_text_of_a_request(
    chat: httpx.Client, chat_engine: Engine, chat_model: Model
) -> None:
    written = chat.post(CHAT, json=chat_body(chat_model.name, tokens=40)).raise_for_status().json()
    chat.post(CHAT, json=chat_body(chat_model.name) | {"messages": PROMPT})
    log = chat_engine.log.read_text()
    assert PROMPT not in log
    assert written["choices"][0]["message"]["content"] not in log


def test_the_engine_listens_on_loopback_only(chat_engine: Engine) -> None:
    assert listening(chat_engine.pid)
    assert all(address.startswith("127.") for address in listening(chat_engine.pid))


def test_a_connection_that_nobody_used_for_some_seconds_still_serves(chat_engine: Engine) -> None:
    """vLLM itself ends it after 5: just when a proxy sends the next request on it."""
    connection = http.client.HTTPConnection("127.0.0.1", chat_engine.port, timeout=30)
    connection.connect()
    connection.auto_open = 0
    for pause in (0, VLLM_KEEP_ALIVE + 2):
        time.sleep(pause)
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b""
    connection.close()


def test_sigterm_lets_a_running_stream_end_and_the_engine_exit_with_0(
    chat_model: Model, tiny_models: TinyModels, engine_log: Path
) -> None:
    """Meanwhile /health says 200, as before, and a new request is answered with 500: others must keep it away."""
    flags = [f"--served-model-name={chat_model.name}", f"--shutdown-timeout={DRAIN_SECONDS}"]
    flags += [*flags_on_cpu(["", "--gpu-memory-utilization="])]
    body = chat_body(chat_model.name, LONG, stream=True, stream_options={"include_usage": True})
    with (
        running_engine(tiny_models.chat, flags, engine_log, environment_on_cpu(chat_model)) as engine,
        engine.client() as client,
    ):
        with client.stream("POST", CHAT, json=body) as response:
            chunks = response.iter_raw()
            raw = next(chunks) + next(chunks)
            engine.terminate()
            raw += next(chunks) + until_drain_began(chunks, engine)
            health, refused = client.get("/health"), client.post(CHAT, json=chat_body(chat_model.name))
            raw += b"".join(chunks)
        code = engine.wait()
    assert health.status_code == 200
    assert (refused.status_code, refused.json()["error"]["type"]) == (500, "InternalServerError")
    *events, last = Stream(headers=response.headers, raw=raw).events()
    assert last["usage"]["completion_tokens"] == len(text_of(events)) == LONG
    assert code == 0, engine.tail()


def test_an_embedding_has_the_models_width_and_length_1_and_its_line_in_the_log(
    embedding_model: Model, tiny_models: TinyModels, engine_log: Path
) -> None:
    """With the image's middleware, in the one engine that there is of this model: for embeddings vLLM hands out no count."""
    with (
        running_pod(embedding_model, tiny_models.embedding, engine_log) as engine,
        engine.client() as client,
    ):
        body = {"model": embedding_model.name, "input": [PROMPT, "Another."]}
        answer = client.post("/v1/embeddings", json=body).raise_for_status().json()
        refused = client.post(CHAT, json=chat_body(embedding_model.name))
    first, second = (each["embedding"] for each in answer["data"])
    assert len(first) == len(second) == HIDDEN
    assert first != second
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-3)
    assert answer["usage"]["prompt_tokens"] == len(PROMPT) + len("Another.")
    assert refused.is_client_error
    lines = request_lines(engine_log.read_text())
    assert [
        (line["endpoint"], line["status_code"], line["prompt_tokens"], line["stream"]) for line in lines
    ] == [
        ("/v1/embeddings", 200, len(PROMPT) + len("Another."), False),
        (CHAT, refused.status_code, None, False),
    ]


def until_drain_began(chunks: Iterator[bytes], engine: Engine) -> bytes:
    """Read on until the engine says that it drains; return what came."""
    read = b""
    for chunk in chunks:
        read += chunk
        if "draining in-flight requests" in engine.tail():
            return read
    pytest.fail(f"the stream ended before the drain began:\n{engine.tail()}", pytrace=False)


def listening(group: int) -> list[str]:
    """Return the addresses that the processes of a group listen on: IPv4 by numbers, IPv6 as the kernel writes it."""
    inodes: set[str] = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            # After the name, which may hold anything: state, parent, group.
            if int((process / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                links = (link.readlink().name for link in (process / "fd").iterdir())
                inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
        except OSError:
            continue  # it ended meanwhile
    found: list[str] = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in inodes:
                address = local.partition(":")[0]
                found.append(
                    ".".join(str(b) for b in bytes.fromhex(address)[::-1]) if table == "tcp" else address
                )
    return found
