"""The words of ASGI, as far as they are used here, and the one header that both directions share."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

REQUEST_ID: Final = b"x-request-id"


def with_request_id(headers: Iterable[Header], request_id: str) -> list[Header]:
    """Return the headers with this id in the place of any other."""
    return [*(pair for pair in headers if pair[0] != REQUEST_ID), (REQUEST_ID, request_id.encode())]
