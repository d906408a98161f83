"""An ASGI server's side and an engine's, as small as they can be: what the middleware stands between."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Answer:
    """What a client saw."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: list[bytes] = field(default_factory=list[bytes])
    complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:  # noqa: ANN401 - a JSON value
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Client:
    """How a request is made. `leaves_after`: pieces of the answer after which the client is gone; None stays."""

    path: str = "/v1/chat/completions"
    body: bytes | Sequence[bytes] = b"{}"
    headers: Sequence[tuple[str, str]] = ()
    method: str = "POST"
    leaves_after: int | None = None

    async def call(self, app: App) -> Answer:
        answer, gone = Answer(), asyncio.Event()
        bodies = [self.body] if isinstance(self.body, bytes) else list(self.body)
        requests: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": index < len(bodies) - 1}
            for index, piece in enumerate(bodies)
        ]
        if self.leaves_after == 0:
            gone.set()

        async def receive() -> Message:
            if requests:
                return requests.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            # As uvicorn does: what comes after the client left falls away without a word.
            if gone.is_set():
                return
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            answer.pieces.append(message.get("body", b""))
            answer.complete = not message.get("more_body", False)
            if answer.complete or len(answer.pieces) == self.leaves_after:
                gone.set()

        scope: dict[str, Any] = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers],
            "state": {},
            "app": SimpleNamespace(state=SimpleNamespace(args=SimpleNamespace(served_model_name=["chat"]))),
        }
        await app(scope, receive, send)
        return answer


async def whole_body(receive: Any) -> bytes:  # noqa: ANN401 - ASGI
    pieces: list[bytes] = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


@dataclass
class Engine:
    """Answers as vLLM does: one event a token, an aggregate for middlewares, an end when the client leaves."""

    tokens: Sequence[str] = ("Hel", "lo", " there")
    stream: bool = True
    aggregate: bool = True
    failure: Exception | None = None
    seen: list[bytes] = field(default_factory=list[bytes])
    ids: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            return
        self.seen.append(await whole_body(receive))
        self.ids += [value.decode() for name, value in scope["headers"] if name == b"x-request-id"]
        if self.failure is not None:
            raise self.failure
        usage = SimpleNamespace(prompt_tokens=7, completion_tokens=len(self.tokens))
        metadata = SimpleNamespace(final_usage_info=None)
        scope["state"]["request_metadata"] = metadata
        kind = b"text/event-stream; charset=utf-8" if self.stream else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if not self.stream:
            metadata.final_usage_info = usage if self.aggregate else None
            body = {"choices": [{"message": {"content": "".join(self.tokens)}, "finish_reason": "stop"}]}
            body |= {"usage": {"prompt_tokens": 7, "total_tokens": 10, "completion_tokens": 3}}
            text = json.dumps(body, separators=(",", ":")).encode()
            await send({"type": "http.response.body", "body": text, "more_body": False})
            return
        leaving = asyncio.ensure_future(receive())
        try:
            for index, token in enumerate(self.tokens):
                await send(_event(token, last=index == len(self.tokens) - 1))
                if leaving.done():
                    return
            metadata.final_usage_info = usage if self.aggregate else None
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()


def _event(token: str, *, last: bool) -> Message:
    choice = {"index": 0, "delta": {"content": token}, "finish_reason": "length" if last else None}
    text = json.dumps({"object": "chat.completion.chunk", "choices": [choice]}, separators=(",", ":"))
    return {"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True}
