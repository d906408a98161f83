"""The middleware itself: pure ASGI, around everything else that the server runs.

What it must never do: change an answer, hold one back, or keep a text. Tokens are not counted here: the engine hands its
own count to middlewares (`request.state.request_metadata`), for streams too, so nothing has to be asked for in the
client's name and taken out of the stream again. Of a client that left, the events that were sent are counted.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Final

from vllm_platform_middleware import metrics
from vllm_platform_middleware.answer import AnswerWatch
from vllm_platform_middleware.asgi import (
    REQUEST_ID,
    App,
    Message,
    Receive,
    Scope,
    Send,
    with_request_id,
)
from vllm_platform_middleware.configuration import Configuration, ConfigurationError, read
from vllm_platform_middleware.content_filter import ContentFilter, load
from vllm_platform_middleware.draining import Draining
from vllm_platform_middleware.record import RequestRecord, endpoint, request_id, trace_id, user_id
from vllm_platform_middleware.refusal import DRAINING, refuse

CLIENT_CLOSED_REQUEST: Final = 499
"""Not in any standard: what proxies write for a client that left before there was an answer."""
SERVER_ERROR: Final = 500
EVENT_STREAM: Final = b"text/event-stream"
# Asked by machines, many times a minute.
NOT_LOGGED: Final = frozenset({"/health", "/load", "/metrics", "/ping", "/version"})
READINESS: Final = frozenset({"/health", "/ping"})


def _configured() -> tuple[Configuration, ContentFilter | None]:
    """Read what the environment says. A server without its rules must not serve, and its user wants a sentence."""
    try:
        configuration = read(os.environ)
        return configuration, load(configuration.filter_file)
    except ConfigurationError as error:
        sys.exit(f"vllm_platform_middleware: {error}")


# When it is imported: the server makes its middlewares only when all else stands.
_CONFIGURATION, _FILTER = _configured()


class Middleware:
    """Wraps the server's application. One instance a process; the server makes it before it listens."""

    def __init__(
        self,
        app: App,
        configuration: Configuration = _CONFIGURATION,
        content_filter: ContentFilter | None = _FILTER,
        draining: Draining | None = None,
    ) -> None:
        self._app = app
        self._configuration = configuration
        self._filter = content_filter
        self._draining = draining or Draining()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            # The server's own handler of SIGTERM stands now; it is called before the port listens.
            self._draining.watch()
            metrics.serve(self._configuration)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in READINESS and self._draining.begun:
            await refuse(send, DRAINING, path=scope["path"])
        elif scope["path"] in NOT_LOGGED:
            await self._app(scope, receive, send)
        else:
            await _Exchange(self._app, self._configuration, scope, receive, send).run(
                self._filter, draining=self._draining.begun
            )


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, app: App, configuration: Configuration, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._configuration = configuration
        self._scope = scope
        self._receive = receive
        self._send = send
        self._arrived = datetime.now(UTC)
        self._began = time.monotonic()
        self._first_byte: float | None = None
        self._status: int | None = None
        self._watch: AnswerWatch | None = None
        self._complete = False
        self._left = False
        self._refused_by: str | None = None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._user = user_id(_text(headers.get(configuration.user_header.encode())))
        self._id = request_id(_text(headers.get(REQUEST_ID)))
        self._trace = trace_id(_text(headers.get(b"traceparent")))
        # The engine logs the id by which it calls a request: it shall be this one, and no text of a client's.
        scope["headers"] = with_request_id(scope["headers"], self._id)

    async def run(self, content_filter: ContentFilter | None, *, draining: bool) -> None:
        """Pass it on, or refuse it; write the line in any case."""
        try:
            if draining:
                await refuse(self._answer, DRAINING, path=self._scope["path"])
                return
            receive = self._receive_watched
            if content_filter is not None and self._scope["method"] == "POST":
                verdict, receive = await content_filter.judge(self._scope, receive)
                if verdict is not None:
                    self._refused_by = verdict.rule
                    await refuse(self._answer, verdict.refusal, path=self._scope["path"])
                    return
            await self._app(self._scope, receive, self._answer)
        except (asyncio.CancelledError, OSError):
            # How the server says that nobody is there any more.
            self._left = True
            raise
        finally:
            record = self._record()
            # Standard output is where logs are read from.
            sys.stdout.write(record.line() + "\n")
            sys.stdout.flush()
            metrics.count(record, self._configuration.model_version)

    async def _receive_watched(self) -> Message:
        message = await self._receive()
        # After the answer's end this is also what a connection says that is kept open.
        if message["type"] == "http.disconnect" and not self._complete:
            self._left = True
        return message

    def _answer(self, message: Message) -> Awaitable[None]:
        """Look at a message and send it. No coroutine of its own: it is called for every event."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = dict(message["headers"])
            self._watch = AnswerWatch(stream=headers.get(b"content-type", b"").startswith(EVENT_STREAM))
            message["headers"] = with_request_id(message["headers"], self._id)
        elif message["type"] == "http.response.body":
            piece = message.get("body", b"")
            if piece and self._first_byte is None:
                self._first_byte = time.monotonic()
            if self._watch is not None:
                self._watch.see(piece)
            self._complete = not message.get("more_body", False)
        return self._send(message)

    def _record(self) -> RequestRecord:
        watch = self._watch or AnswerWatch(stream=False)
        prompt, completion = _engine_s_count(self._scope)
        stream = watch.stream
        if completion is None and stream and watch.completion_tokens is None:
            completion = watch.events
        missing = CLIENT_CLOSED_REQUEST if self._left else SERVER_ERROR
        waited = self._first_byte if stream else None
        return RequestRecord(
            timestamp=self._arrived.isoformat(timespec="milliseconds"),
            service=self._configuration.service,
            request_id=self._id,
            trace_id=self._trace,
            user_id=self._user,
            model=_model(self._scope, self._configuration.service),
            endpoint=endpoint(self._scope["path"]),
            prompt_tokens=watch.prompt_tokens if prompt is None else prompt,
            completion_tokens=watch.completion_tokens if completion is None else completion,
            total_time_ms=_milliseconds(time.monotonic() - self._began),
            time_to_first_token_ms=None if waited is None else _milliseconds(waited - self._began),
            status_code=missing if self._status is None else self._status,
            stream=stream,
            finish_reason=watch.finish_reason,
            client_disconnected=self._left and not self._complete,
            refused_by=self._refused_by,
        )


def _engine_s_count(scope: Scope) -> tuple[int | None, int | None]:
    """Return prompt and completion tokens as vLLM counted them, over all choices of a request."""
    metadata = scope.get("state", {}).get("request_metadata")
    usage = getattr(metadata, "final_usage_info", None)
    return getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)


def _model(scope: Scope, service: str) -> str:
    """Return the name that the server serves: what a client calls it is the client's to write."""
    arguments = getattr(getattr(scope.get("app"), "state", None), "args", None)
    names = getattr(arguments, "served_model_name", None)
    return names[0] if names else service


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
