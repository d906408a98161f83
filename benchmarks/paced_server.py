"""A server as vLLM's (FastAPI on uvicorn, uvloop, httptools) that answers at a pace it is told. Run with the Python of .venv-engine.

It does less for an answer than any engine, so what a middleware adds is a larger part here than anywhere else.
A request says `max_tokens`, `stream`, and `pace_ms`: milliseconds from one event to the next, 0 for as fast as it can.
"""

import argparse
import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Final

# Any: where types are checked neither is installed.
fastapi: Any = importlib.import_module("fastapi")
responses: Any = importlib.import_module("starlette.responses")
uvicorn: Any = importlib.import_module("uvicorn")

MODEL: Final = "paced"
PROMPT_TOKENS: Final = 20


def _event(reason: str | None) -> str:
    choice = {
        "index": 0,
        "delta": {"content": "x"},
        "logprobs": None,
        "finish_reason": reason,
        "token_ids": None,
    }
    head = {
        "id": f"chatcmpl-{'0' * 32}",
        "object": "chat.completion.chunk",
        "created": 1795551006,
        "model": MODEL,
    }
    return f"data: {json.dumps({**head, 'choices': [choice]}, separators=(',', ':'))}\n\n"


TOKEN: Final = _event(None)
LAST: Final = _event("length")


async def _events(tokens: int, pace: float, metadata: SimpleNamespace) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(1, tokens + 1):
        if pace:
            await asyncio.sleep(max(0.0, began + number * pace - loop.time()))
        yield LAST if number == tokens else TOKEN
    metadata.final_usage_info = SimpleNamespace(prompt_tokens=PROMPT_TOKENS, completion_tokens=tokens)
    yield "data: [DONE]\n\n"


async def _chat(request: Any) -> Any:  # noqa: ANN401 - starlette's
    asked = await request.json()
    tokens = asked["max_tokens"]
    # As vLLM hands its count to middlewares.
    metadata = request.state.request_metadata = SimpleNamespace(final_usage_info=None)
    if asked["stream"]:
        events = _events(tokens, asked.get("pace_ms", 0) / 1000, metadata)
        return responses.StreamingResponse(events, media_type="text/event-stream")
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "total_tokens": PROMPT_TOKENS + tokens,
        "completion_tokens": tokens,
    }
    metadata.final_usage_info = SimpleNamespace(**usage)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "x" * tokens},
        "finish_reason": "length",
    }
    return responses.JSONResponse(
        {"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
    )


async def _health(_request: Any) -> Any:  # noqa: ANN401 - starlette's
    return responses.Response()


def application(middleware: str | None) -> Any:  # noqa: ANN401 - FastAPI's
    """Return the application, with a middleware of this name around it as vLLM puts it there."""
    made = fastapi.FastAPI()
    made.state.args = SimpleNamespace(served_model_name=[MODEL])
    made.router.add_route("/health", _health)
    made.router.add_route("/v1/chat/completions", _chat, methods=["POST"])
    if middleware is not None:
        module, _, name = middleware.rpartition(".")
        made.add_middleware(getattr(importlib.import_module(module), name))
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--middleware")
    chosen = parser.parse_args()
    uvicorn.run(
        application(chosen.middleware),
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
