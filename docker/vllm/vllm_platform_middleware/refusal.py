"""Answers that this middleware gives by itself, in the form that clients of the endpoint know."""

import json
from dataclasses import dataclass
from typing import Any, Final

from vllm_platform_middleware.asgi import Send

ANTHROPIC: Final = "/v1/messages"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """status: of HTTP. code and kind: as in OpenAI's errors. retry: it is worth another try, elsewhere or later.

    last: no other answer comes on this connection.
    """

    status: int
    code: str
    kind: str
    message: str
    retry: bool = False
    last: bool = False


DRAINING: Final = Refusal(
    status=503,
    code="draining",
    kind="service_unavailable",
    message="This server is about to end.",
    retry=True,
    last=True,
)


async def refuse(send: Send, refusal: Refusal, *, path: str) -> None:
    """Send the whole answer."""
    body = json.dumps(_form(refusal, path)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.retry:
        headers.append((b"retry-after", b"1"))
    if refusal.last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _form(refusal: Refusal, path: str) -> dict[str, Any]:
    if path == ANTHROPIC:
        return {"type": "error", "error": {"type": refusal.kind, "message": refusal.message}}
    return {"error": {"message": refusal.message, "type": refusal.kind, "param": None, "code": refusal.code}}
