"""No text of prompts and answers passes the collector, and what is no text does.

Python's `re` stands in for Go's RE2 here: it reads these patterns alike, but for `\\z`, which it calls `\\Z`.
"""

import json
import re
from typing import Final

import pytest

from components.addons.otel_redaction import redaction

pytestmark = pytest.mark.unit

TEXT: Final = "Tell me of my illness"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace(r"\z", r"\Z"))


VALUES: Final = [_pattern(text) for text in redaction()["blocked_values"]]
KEYS: Final = [_pattern(text) for text in redaction()["blocked_key_patterns"]]


def _masked(line: str) -> str:
    """Mask as the processor does: one pattern after the other."""
    for pattern in VALUES:
        line = pattern.sub("****", line)
    return line


def _chat(content: object) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], "stream": True})


LEAKS: Final = {
    "a completion": json.dumps({"prompt": TEXT, "n": 1}),
    "a chat": _chat(TEXT),
    "parts of a message": _chat([{"type": "text", "text": TEXT}]),
    "parts that nobody foresaw": json.dumps({"messages": [{"parts": [TEXT]}]}),
    "texts to embed": json.dumps({"input": ["a", TEXT]}),
    "a chunk of an answer": 'data: {"choices":[{"index":0,"delta":{"content":"' + TEXT + '"}}]}',
    "quotes inside": json.dumps({"prompt": f'he said "{TEXT}" and left'}),
    "a line break inside": '{"prompt": "a\n' + TEXT + '"}',
    "JSON in JSON": json.dumps({"log": json.dumps({"content": f'"{TEXT}"'})}),
    "JSON in JSON in JSON": json.dumps({"a": json.dumps({"b": json.dumps({"content": TEXT})})}),
    "a line that was cut off": '{"content":"begins and ' + TEXT,
    "a Python dictionary": str({"messages": [{"role": "user", "content": TEXT}]}),
    "a Python object": f"ChatCompletionRequest(messages=[{{'content': '{TEXT}'}}], model='m')",
    "vLLM's log of requests": f"Received request cmpl-1: prompt: '{TEXT}', params: SamplingParams(n=1)",
    "vLLM's log of answers": f"Generated response cmpl-1: output: '{TEXT}', finish_reason: stop",
    "capitals": json.dumps({"PROMPT": TEXT}),
    "spaces": '{ "prompt"  :  "' + TEXT + '" }',
}
HARMLESS: Final = (
    '{"service":"vllm","request_id":"r1","user_id":"u","prompt_tokens":5,"completion_tokens":7,"status_code":200}',
    '{"path":"/v1/chat/completions","response_code":200,"response_flags":"-","content_type":"application/json"}',
    '{"content":null,"input":5}',
    'level=info msg="the output is fine" text=abc',
    "probe failed: response code 503, output of command was empty",
    "INFO: Avg prompt throughput: 12.0 tokens/s, Running: 3 reqs, GPU KV cache usage: 4.2%",
    'vllm:prompt_tokens_total{model_name="m"} 12',
)


@pytest.mark.parametrize("case", LEAKS)
def test_no_text_is_left_in_a_line(case: str) -> None:
    assert TEXT in LEAKS[case] or "\\" in LEAKS[case]
    assert TEXT not in _masked(LEAKS[case])


@pytest.mark.parametrize("line", HARMLESS)
def test_a_line_without_text_is_left_as_it_is(line: str) -> None:
    assert _masked(line) == line


def test_numbers_that_text_can_be_made_of_are_text() -> None:
    assert "101" not in _masked("request details: prompt_token_ids: [101, 102], lora_request: None")


def test_of_a_json_text_the_rest_of_the_line_is_left() -> None:
    assert _masked('{"id":"r1","prompt":"a","status":200}') == '{"id":"r1",****,"status":200}'


@pytest.mark.parametrize(
    "key",
    [
        "prompt",
        "system_prompt",
        "gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "input.value",
        "llm.input_messages.0.message.content",
    ],
)
def test_an_attribute_that_holds_text_is_masked(key: str) -> None:
    assert any(pattern.search(key) for pattern in KEYS)


@pytest.mark.parametrize(
    "key",
    [
        "prompt_tokens",
        "gen_ai.usage.input_tokens",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "http.response.status_code",
        "http.request.method",
        "service.name",
        "model",
        "message",
        "log.iostream",
        "context",
    ],
)
def test_an_attribute_that_holds_none_is_left_as_it_is(key: str) -> None:
    assert not any(pattern.search(key) for pattern in KEYS)


def test_it_is_seen_that_something_was_removed() -> None:
    config = redaction()
    assert config["summary"] == "info"
    # Its default takes every attribute away that is not listed.
    assert config["allow_all_keys"] is True
    assert config["redact_all_types"] is True
