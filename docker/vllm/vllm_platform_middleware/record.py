"""One line about one request: numbers, words of fixed lists, and identifiers of a checked form. No text has a place in it."""

import json
import os
import re
from typing import Final, NamedTuple

# A header is the client's to write. What goes into the log is at most an identifier.
_REQUEST_ID: Final = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]{0,56}")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_USER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}")
_JSON: Final = json.JSONEncoder(separators=(",", ":"))
INVALID: Final = "invalid"
OTHER: Final = "other"

FINISH_REASONS: Final = frozenset(
    {"stop", "length", "tool_calls", "function_call", "content_filter", "abort", "error", "repetition"}
)
ENDPOINTS: Final = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/models",
        "/v1/rerank",
        "/v1/responses",
        "/v1/score",
        "/v2/rerank",
        "/classify",
        "/detokenize",
        "/pooling",
        "/rerank",
        "/score",
        "/tokenize",
    }
)


class RequestRecord(NamedTuple):
    """What is kept of a request. None is "not known", and no number.

    timestamp: arrival, RFC 3339 in UTC. model: the name that it is served under. endpoint: one of a list, or `other`.
    prompt_tokens, completion_tokens: as the engine counts them; of a client that left, as many as were sent.
    total_time_ms: to the last byte. time_to_first_token_ms: to the first byte of a stream.
    status_code: 499 if the client left before there was one. finish_reason: of the last choice that ended.
    trace_id: of the trace that the gateway began, 32 hexadecimal digits.
    """

    timestamp: str
    service: str
    request_id: str
    trace_id: str | None
    user_id: str | None
    model: str
    endpoint: str
    prompt_tokens: int | None
    completion_tokens: int | None
    total_time_ms: float
    time_to_first_token_ms: float | None
    status_code: int
    stream: bool
    finish_reason: str | None
    client_disconnected: bool
    refused_by: str | None = None

    def line(self) -> str:
        """Return it as one line of JSON."""
        return _JSON.encode(self._asdict())


def request_id(header: str | None) -> str:
    """Return the caller's id if it is one, of hexadecimal digits and dashes, else a new one."""
    return header if header is not None and _REQUEST_ID.fullmatch(header) else os.urandom(16).hex()


def trace_id(header: str | None) -> str | None:
    """Return the trace's id out of `traceparent` (W3C Trace Context), None where there is no such header or it is of another form."""
    found = _TRACE_PARENT.fullmatch(header) if header is not None else None
    return found[1] if found else None


def user_id(header: str | None) -> str | None:
    """Return whom the gateway names; `invalid` for what is no identifier, None where it names nobody."""
    if header is None:
        return None
    return header if _USER_ID.fullmatch(header) else INVALID


def endpoint(path: str) -> str:
    """Return a path of the list, or `other`: a path is the client's to write, too."""
    return path if path in ENDPOINTS else OTHER


def finish_reason(word: str) -> str:
    """Return a word of the list, or `other`."""
    return word if word in FINISH_REASONS else OTHER
