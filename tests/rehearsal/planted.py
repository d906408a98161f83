"""Log lines with the text of a prompt in them, in twenty shapes: as JSON, as Python prints things, as vLLM logs, over several lines."""

import json
from collections.abc import Callable
from typing import Final

WORD: Final = "illness"
"""Stands in every planted text, and in no line that may pass."""
PLACE: Final = "(APIServer pid=1)"
TIME: Final = "11-28 23:39:33"


def text(number: int) -> str:
    """Return what somebody asked, of a request of its own."""
    return f"Tell me of my {WORD} {number}"


def _line(level: str, said: str) -> str:
    return f"{PLACE} {level} {TIME} [serving.py:123] {said}"


def _chat(said: object) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": said}], "stream": True})


SHAPES: Final[dict[str, Callable[[str], str]]] = {
    "a completion": lambda t: json.dumps({"prompt": t, "n": 1}),
    "a chat": _chat,
    "parts of a message": lambda t: _chat([{"type": "text", "text": t}]),
    "a list of texts to embed": lambda t: json.dumps({"input": ["a", t]}),
    "deep, below names that nobody foresaw": lambda t: json.dumps({"a": [{"b": {"messages": [{"c": [t]}]}}]}),
    "the arguments of a tool": lambda t: json.dumps({"tool_calls": [{"function": {"arguments": t}}]}),
    "a chunk of an answer": lambda t: (
        'data: {"choices":[{"index":0,"delta":{"content":' + json.dumps(t) + "}}]}"
    ),
    "JSON in a text of JSON": lambda t: json.dumps({"log": json.dumps({"content": f'"{t}"'})}),
    "JSON in JSON in JSON": lambda t: json.dumps({"a": json.dumps({"b": json.dumps({"content": t})})}),
    "a line that was cut off": lambda t: '{"content":"begins and ' + t,
    "longer than a runtime writes at once": lambda t: json.dumps({"prompt": f"{'x' * 40_000} {t}"}),
    "a Python dictionary": lambda t: str({"messages": [{"role": "user", "content": t}]}),
    "a Python object": lambda t: f"ChatCompletionRequest(messages=[{{'content': '{t}'}}], model='m')",
    "what pydantic refused": lambda t: _line(
        "ERROR", f"  Input should be a valid list [type=list_type, input_value='{t}', input_type=str]"
    ),
    "vLLM's log of a request": lambda t: _line(
        "DEBUG", f"Request cmpl-1 details: prompt: {t!r}, prompt_token_ids: [1]."
    ),
    "vLLM's log of a body": lambda t: _line("DEBUG", f"Request cmpl-1 JSON body: {t}"),
    "vLLM's log of parameters": lambda t: _line(
        "INFO", f"Received request cmpl-1: params: SamplingParams(n=1, stop=['{t}']), lora_request: None."
    ),
    "vLLM's log of an answer": lambda t: _line(
        "INFO", f"Generated response cmpl-1: output: {t!r}, finish_reason: stop"
    ),
    "an exception that quotes": lambda t: _line("ERROR", f"ValueError: can not tokenize {t}"),
    "a traceback over several lines": lambda t: (
        "Traceback (most recent call last):\n"
        '  File "/app/chat.py", line 3, in answer\n'
        f"    raise ValueError(template.render('{t}'))\n"
        f"jinja2.exceptions.TemplateError: {t}\n"
        f"{t}"
    ),
}
"""By name: the line, or lines, that an engine would write about a text."""
