"""All text of a request, wherever it stands: no list of fields, for the next version of an API has others."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

DATA_URL: Final = "data:"
# Of the request itself, not of what is said in it.
_NO_TEXT: Final = frozenset({"model", "encoding_format", "service_tier", "user", "safety_identifier"})


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
