"""Log lines, read by the agent: fields out of lines about requests, and of an engine's other lines nothing that may be text.

Of a line about one request (the middleware's, the gateway's: JSON with a `request_id`) the known fields become
attributes, so that a question like "which requests of this user failed" needs no search in text. Of an engine's line
nothing but these fields is left.

What else an engine says is of a few forms: vLLM's own logger begins each line, also those of a message over several,
with process, level, time and place; the server under it has a fixed set of sentences; the interpreter prints frames.
A line of no known form is masked whole, as are messages at DEBUG (there vLLM prints requests and answers) and what an
exception says, unless it is of a kind that speaks of the machine. So text is held back by what lines may be, and not by
what it may look like. Other containers never have text; for them there are the patterns (`otel_redaction`).
"""

import json
from typing import Any, Final

from components.model_names import PREDICTOR_CONTAINER

MASK: Final = "****"
REQUEST: Final = "vllm_platform.request"
"""`event.name` of a line about one request."""
TEXTS: Final = (
    "timestamp",
    "service",
    "request_id",
    "trace_id",
    "user_id",
    "model",
    "endpoint",
    "finish_reason",
    "refused_by",
    "method",
    "path",
    "route",
    "reason",
    "flags",
    "client",
    "upstream",
)
COUNTS: Final = ("prompt_tokens", "completion_tokens", "status_code", "bytes_received", "bytes_sent")
TIMES: Final = ("total_time_ms", "time_to_first_token_ms", "first_byte_ms")
SWITCHES: Final = ("stream", "client_disconnected")
FIELDS: Final = (*TEXTS, *COUNTS, *TIMES, *SWITCHES)
"""Of the middleware's line (docker/vllm) and of the gateway's (`gateway_log`): names that both have mean the same."""

_JSON: Final = r"\A\s*\{"
_ID: Final = '"request_id"'
_PROCESS: Final = r"(?:\([\w .:-]+ pid=\d+\) )?"
_VLLM: Final = (
    _PROCESS + r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]\s]+:\d+\](?: |\s*\z)"
)
_DEBUG: Final = r"\A(?P<head>" + _PROCESS + r"DEBUG \d\d-\d\d \d\d:\d\d:\d\d \[[^\]\s]+:\d+\] )"
_ACCESS: Final = r'(?:INFO):\s+[\d.:a-f\[\]]+ - "[A-Z]+ /[\w/.-]* HTTP/[\d.]+" \d{3}(?: [A-Za-z -]+)?\s*\z'
_SERVER: Final = (
    r"(?:INFO|WARNING|ERROR):\s+(?:Started|Waiting for|Application|Uvicorn running|Shutting down|Finished"
    r"|Exception in ASGI|Invalid HTTP request|connection (?:open|closed))[\w .:/()\[\]-]*\s*\z"
)
_TRACE: Final = (
    r"(?:Traceback \(most recent call last\):"
    r"|The above exception was the direct cause of the following exception:"
    r"|During handling of the above exception, another exception occurred:"
    r'|\s+File "[^"]+", line \d+, in [\w<>.]+)\s*\z'
)
_RAISED: Final = r"(?:\w+\.)*\w*(?:Error|Exception|ExceptionGroup|Interrupt|Exit)"
_EXCEPTION: Final = rf"\A(?P<head>(?:{_VLLM})?(?:.*[^\w.])?{_RAISED}: )."
_BARE_EXCEPTION: Final = rf"(?:{_RAISED}(?:: .*)?\s*\z)"
_MACHINE: Final = (
    r"(?:\A|[^\w.])(?:torch\.)?(?:cuda\.)?(?:OutOfMemory|OS|FileNotFound|Permission|\w*Connection\w*|Timeout|Import"
    r"|ModuleNotFound|Memory|Runtime|EngineDead|Blocking\w*)Error: "
)
_INPUT: Final = (
    r"(?:Value|Type|Key|Index|Assertion|Attribute|Syntax|\w*Validation|\w*Template\w*|\w*code)Error: "
)
_KNOWN: Final = rf"\A(?:{_VLLM}|{_ACCESS}|{_SERVER}|{_TRACE}|{_BARE_EXCEPTION})"


def lines() -> dict[str, Any]:
    """Return the configuration of the collector's processor `transform`, to stand before `redaction`.

    Its errors are not logged: they quote what could not be read.
    """
    engine = f'resource.attributes["k8s.container.name"] == {_quoted(PREDICTOR_CONTAINER)}'
    unread = 'log.attributes["event.name"] == nil'
    return {
        "error_mode": "silent",
        "log_statements": [
            {
                "conditions": [f"{_matches(_JSON)} and {_matches(_ID)}"],
                "statements": [
                    *_fields(),
                    f"set(log.body, String(log.cache)) where {engine} and not ({unread})",
                ],
            },
            {"conditions": [f"{engine} and {unread}"], "statements": _engine()},
            # Of no pod: the file has not the form that kubelets write, so nothing is known of the line.
            {
                "conditions": ['resource.attributes["k8s.pod.uid"] == nil'],
                "statements": [f"set(log.body, {_quoted(MASK)})"],
            },
        ],
    }


def _fields() -> list[str]:
    """Return what makes attributes of a line's fields. Of another type than theirs they are left out."""
    kinds = (
        (TEXTS, "IsString", "{}"),
        (COUNTS, "IsDouble", "Int({})"),
        (TIMES, "IsDouble", "{}"),
        (SWITCHES, "IsBool", "{}"),
    )
    statements = [
        "set(log.cache, ParseJSON(log.body))",
        f"keep_keys(log.cache, [{', '.join(_quoted(name) for name in FIELDS)}])",
        # A value that is no field's: a list or a mapping could hold anything.
        *(
            f'delete_key(log.cache, "{name}") where IsMap(log.cache["{name}"]) or IsList(log.cache["{name}"])'
            for name in FIELDS
        ),
        f'set(log.attributes["event.name"], {_quoted(REQUEST)}) where IsString(log.cache["request_id"])',
    ]
    for names, test, value in kinds:
        for name in names:
            field = f'log.cache["{name}"]'
            statements.append(f'set(log.attributes["{name}"], {value.format(field)}) where {test}({field})')
    return statements


def _engine() -> list[str]:
    """Return what masks an engine's lines that are not about one request."""
    said = f"{_matches(_EXCEPTION)} and (not {_matches(_MACHINE)} or {_matches(_INPUT)})"
    return [
        f"set(log.body, {_QUOTED_MASK}) where not {_matches(_KNOWN)}",
        f"set(log.body, {_beginning(_DEBUG)}) where {_matches(_DEBUG)}",
        f"set(log.body, {_beginning(_EXCEPTION)}) where {said}",
    ]


def _beginning(pattern: str) -> str:
    return f'Concat([ExtractPatterns(log.body, {_quoted(pattern)})["head"], {_QUOTED_MASK}], "")'


def _matches(pattern: str) -> str:
    return f"IsMatch(log.body, {_quoted(pattern)})"


def _quoted(text: str) -> str:
    """Return a text of the processor's language, which quotes as JSON does."""
    return json.dumps(text)


_QUOTED_MASK: Final = _quoted(MASK)
