"""A small engine behind the endpoints that OpenAI's clients know: as many tokens as are asked for, none with a meaning.

Of vLLM it has the form of answers and streams, the queue (`--max-num-seqs`), the metrics, and what it hands to
middlewares. How fast and how well it answers is `behaviour`'s to say.
"""

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from vllm_platform_middleware.asgi import Message, Receive, Scope, Send

from tests.gateway.engine.behaviour import Behaviour, read
from tests.gateway.engine.metrics import Metrics
from tests.unit.fake_engine import whole_body

PROMPT_TOKENS: Final = 8
TOKENS: Final = 16
LOOK_SECONDS: Final = 0.2
_COMPLETIONS: Final = ("/v1/chat/completions", "/v1/completions")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `vllm serve` was told, and where the engine's behaviour is told.

    fingerprint: who answers, in every answer, in the field that OpenAI has for it (vLLM leaves it empty).
    """

    model: str
    max_num_seqs: int
    max_model_len: int
    folder: Path
    fingerprint: str


class SmallEngine:
    """An ASGI application."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._metrics = Metrics(options.model, options.max_model_len)
        self._slots = asyncio.Semaphore(options.max_num_seqs)
        self._looking: asyncio.Task[None] | None = None
        # Where vLLM has them, for middlewares.
        arguments = SimpleNamespace(served_model_name=[options.model])
        self.app = SimpleNamespace(state=SimpleNamespace(args=arguments))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        self._looking = asyncio.create_task(self._look())
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})

    async def _look(self) -> None:
        while True:
            if read(self._options.folder).crashed:
                os._exit(1)
            await asyncio.sleep(LOOK_SECONDS)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        behaviour = read(self._options.folder)
        path = scope["path"]
        if path == "/health":
            await _json(send, 200 if behaviour.healthy else 503, {})
        elif path == "/v1/models":
            card = {"id": self._options.model, "object": "model", "owned_by": "vllm"}
            await _json(send, 200, {"object": "list", "data": [card]})
        elif path in _COMPLETIONS and scope["method"] == "POST":
            await self._complete(scope, receive, send, behaviour)
        else:
            await _json(send, 404, {"detail": "Not Found"})

    async def _complete(self, scope: Scope, receive: Receive, send: Send, behaviour: Behaviour) -> None:
        try:
            request = json.loads(await whole_body(receive))
        except ValueError:
            await _error(send, 400, "BadRequestError", "the request is no JSON")
            return
        if request.get("model") != self._options.model:
            message = f"The model `{request.get('model')}` does not exist."
            await _error(send, 404, "NotFoundError", message)
            return
        if random.random() < behaviour.error_ratio:  # noqa: S311 - no secret comes of it
            await _error(send, 500, "InternalServerError", "it was told to fail")
            return
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await self._generate(scope, send, request, behaviour, leaving)
        finally:
            leaving.cancel()

    async def _generate(
        self,
        scope: Scope,
        send: Send,
        request: Mapping[str, Any],
        behaviour: Behaviour,
        leaving: "asyncio.Future[None]",
    ) -> None:
        count = int(request.get("max_completion_tokens") or request.get("max_tokens") or TOKENS)
        stream = bool(request.get("stream"))
        metadata = SimpleNamespace(final_usage_info=None)
        scope.setdefault("state", {})["request_metadata"] = metadata
        kind = b"text/event-stream; charset=utf-8" if stream else b"application/json"
        cut = count // 2 if stream and random.random() < behaviour.cut_ratio else None  # noqa: S311
        sent = 0
        async with contextlib.aclosing(self._tokens(count, behaviour, leaving)) as tokens:
            async for token in tokens:
                if sent == cut:
                    # As an engine that dies: what there is of the answer ends without its end.
                    raise ConnectionAbortedError
                if stream:
                    if not sent:
                        await _start(send, 200, kind)
                    await send(_event(self._chunk(token, last=sent == count - 1)))
                sent += 1
        if sent < count:
            return
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": count,
            "total_tokens": count + PROMPT_TOKENS,
        }
        metadata.final_usage_info = SimpleNamespace(**usage)
        if stream:
            if request.get("stream_options", {}).get("include_usage"):
                await send(_event({"object": "chat.completion.chunk", "choices": [], "usage": usage}))
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
        else:
            await _json(send, 200, self._whole(count, usage))

    async def _tokens(
        self, count: int, behaviour: Behaviour, leaving: "asyncio.Future[None]"
    ) -> AsyncGenerator[str]:
        """Yield tokens as they are made, and count them. Ends early where the client left."""
        metrics = self._metrics
        arrived = time.monotonic()
        metrics.waiting.inc()
        try:
            await self._slots.acquire()
        finally:
            metrics.waiting.dec()
        metrics.running.inc()
        begun = time.monotonic()
        metrics.queued.observe(begun - arrived)
        made, reason = 0, "abort"
        try:
            before = begun
            for number in range(count):
                seconds = behaviour.between_tokens_seconds if number else behaviour.first_token_seconds
                await asyncio.wait([leaving], timeout=seconds)
                if leaving.done():
                    return
                now = time.monotonic()
                if number:
                    metrics.between_tokens.observe(now - before)
                else:
                    metrics.first_token.observe(now - arrived)
                before = now
                made += 1
                yield f" {number}"
            reason = "length"
        finally:
            self._slots.release()
            metrics.running.dec()
            ended = time.monotonic()
            metrics.success[reason].inc()
            metrics.prompt_tokens.inc(PROMPT_TOKENS)
            metrics.generation_tokens.inc(made)
            metrics.request_prompt.observe(PROMPT_TOKENS)
            metrics.request_generation.observe(made)
            metrics.whole.observe(ended - arrived)
            if made > 1:
                metrics.per_token.observe((ended - begun) / (made - 1))

    def _chunk(self, token: str, *, last: bool) -> Mapping[str, Any]:
        choice = {"index": 0, "delta": {"content": token}, "finish_reason": "length" if last else None}
        return {"object": "chat.completion.chunk", **self._own(), "choices": [choice]}

    def _whole(self, count: int, usage: Mapping[str, int]) -> Mapping[str, Any]:
        content = "".join(f" {number}" for number in range(count))
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        return {"object": "chat.completion", **self._own(), "choices": [choice], "usage": usage}

    def _own(self) -> Mapping[str, str]:
        return {"model": self._options.model, "system_fingerprint": self._options.fingerprint}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, kind: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})


async def _json(send: Send, status: int, content: Mapping[str, Any]) -> None:
    await _start(send, status, b"application/json")
    body = json.dumps(content, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _error(send: Send, status: int, kind: str, message: str) -> None:
    error = {"message": message, "type": kind, "param": None, "code": status}
    await _json(send, status, {"error": error})


def _event(content: Mapping[str, Any]) -> Message:
    text = json.dumps(content, separators=(",", ":"))
    return {"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True}
