"""Text of prompts and answers, taken out of logs and traces by the collector.

In the agent before anything is written or sent, so that text never leaves its node; in the gateway for traces, and for
logs that are sent straight to it. It is the second net. The first is that no part of the platform logs text.

By name: of an attribute, of a field of a structured line, and of anything that looks like a field inside a plain line.
There a JSON text is cut out alone. Of what can not be followed to its end with a pattern (lists, escaped JSON, Python's
own way to print) the rest of the line goes, because too much is better than too little. Not found is text without a name:
the further lines of one that was printed over several.

`redaction.body.masked.count` and `redaction.masked.count` stay at what was touched: something logs text that should not.
"""

from typing import Any, Final

TEXT_KEYS: Final = (
    "arguments",
    "bad_words",
    "choices",
    "completion",
    "completions",
    "content",
    "delta",
    "documents",
    "functions",
    "input",
    "input_value",
    "inputs",
    "instructions",
    "messages",
    "output",
    "outputs",
    "prompt",
    "prompts",
    "queries",
    "query",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "responses",
    "suffix",
    "text",
    "texts",
    "tool_calls",
    "tools",
    # Numbers, of which the text can be made again.
    "input_ids",
    "output_token_ids",
    "prompt_token_ids",
    "token_ids",
)
# As vLLM (entrypoints/logger.py) and pydantic print them outside of JSON. The other names are everyday words there.
PLAIN_KEYS: Final = ("input_value", "messages", "output", "output_token_ids", "prompt", "prompt_token_ids")


def redaction() -> dict[str, Any]:
    """Return the configuration of the collector's processor `redaction`.

    No `$` in a pattern: the collector takes it for a variable.
    """
    named, plain = "|".join(TEXT_KEYS), "|".join(PLAIN_KEYS)
    return {
        "allow_all_keys": True,
        "redact_all_types": True,
        "summary": "info",
        "blocked_key_patterns": [
            # `prompt`, `gen_ai.input.messages`, `system_prompt`; not `prompt_tokens` or `gen_ai.response.model`.
            rf"(?i)(?:\A|[._])(?:{named})\z",
            # OpenInference.
            r"(?i)(?:\A|[.])(?:input|output)[.]value\z",
        ],
        "blocked_values": [
            # "content": "..."
            rf'(?is)"(?:{named})"\s*:\s*"(?:[^"\\]|\\.)*"',
            # "messages": [...   'content': '...   \"content\": \"...   and a text that was cut off
            rf"""(?is)[\\"']+(?:{named})[\\"']+\s*:\s*[bru]?[\\"'\[{{].*""",
            # prompt: '...   output='...
            rf"""(?is)\b(?:{plain})\s*[:=]\s*[bru]?[\\"'\[{{].*""",
            # What vLLM says of each request: words to stop at, forms and choices are the client's.
            r"(?s)\b(?:Sampling|Pooling|BeamSearch)Params\(.*",
        ],
    }
