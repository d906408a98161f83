"""All text of a request, wherever it stands: no list of fields, for the next version of an API has others."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

DATA_URL: Final = "data:"
# Of the request itself, not of what is said in it.
_NO_TEXT: Final = frozenset({"model", "encoding_format", "service_tier", "user", "safety_identifier"})
_OF_APIS: Final = """
messages role content type text name id tools function description parameters arguments tool_calls
tool_call_id tool_choice strict properties items enum object string number integer boolean array system
developer user assistant tool auto none required image_url url detail input_text input prompt instructions
stream stream_options include_usage max_tokens max_completion_tokens max_output_tokens min_tokens temperature
top_p top_k min_p n seed stop ignore_eos logprobs top_logprobs presence_penalty frequency_penalty
repetition_penalty response_format json_object json_schema schema metadata parallel_tool_calls
reasoning_effort chat_template_kwargs enable_thinking
"""
_API_WORDS: Final = frozenset(_OF_APIS.split())


def texts(body: Any) -> Iterator[str]:  # noqa: ANN401 - a JSON value
    """Yield every string of a request, keys included, and what the parts of one message make together.

    A word that is cut in two parts is one again for the model. Images and sounds as data URLs are no text.
    """
    if isinstance(body, Mapping):
        for key, value in cast("Mapping[str, Any]", body).items():
            if key not in _NO_TEXT:
                yield key
                yield from texts(value)
    elif isinstance(body, list):
        parts = [part for part in map(_part, cast("list[Any]", body)) if part]
        if len(parts) > 1:
            yield "".join(parts)
        for item in cast("list[Any]", body):
            yield from texts(item)
    elif isinstance(body, str) and not body.startswith(DATA_URL):
        yield body


def _part(item: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return the text of one part of a message."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        text = cast("Mapping[str, Any]", item).get("text")
        return text if isinstance(text, str) else ""
    return ""


def said(found: Iterable[str]) -> str:
    """Return what a model that guards is to read of these texts: all but the words of the APIs themselves.

    Who says "content" and nothing else has said nothing; an unknown field's name is read.
    """
    return "\n".join(text for text in found if text not in _API_WORDS)


def has_token_prompt(body: Any) -> bool:  # noqa: ANN401 - a JSON value
    """Tell whether a prompt is given as numbers of tokens, which no rule can read."""
    if not isinstance(body, Mapping):
        return False
    fields = cast("Mapping[str, Any]", body)
    return any(_is_tokens(fields.get(name)) for name in ("prompt", "input", "tokens", "prompt_token_ids"))


def _is_tokens(value: Any) -> bool:  # noqa: ANN401 - a JSON value
    return isinstance(value, list) and any(
        isinstance(item, int) or _is_tokens(item) for item in cast("list[Any]", value)
    )
