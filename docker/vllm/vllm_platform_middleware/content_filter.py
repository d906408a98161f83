"""The content filter: a request's text against rules, and against a model that guards, before the engine sees it.

A JSON file says what it does (`VP_FILTER_FILE`):

    {"rules": [{"name": "secrets", "patterns": ["AKIA[0-9A-Z]{16}"], "words": ["project x"]}],
     "max_characters": 100000, "max_body_bytes": 20000000,
     "guard": {"url": "http://guard:8000", "model": "guard", "budget_ms": 300, "fail_open": false}}

Patterns are searched without regard to case, words too and whole. What a rule found is never told: neither in the log,
nor to the client, who hears the name of the rule.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import regex

from vllm_platform_middleware.asgi import Message, Receive, Scope
from vllm_platform_middleware.configuration import ConfigurationError
from vllm_platform_middleware.guard import UNJUDGED, Guard, guard_of
from vllm_platform_middleware.refusal import Refusal
from vllm_platform_middleware.request_text import has_token_prompt, said, texts

BY_RULES: Final = "The request was refused by this service's content rules."
BODY_BYTES: Final = 20_000_000
SEARCH_SECONDS: Final = 0.05
"""Of all patterns of a rule in one text. A text that takes longer is refused: it was written for that."""
# Searches let other threads run: neither a long prompt nor one that was written to take long holds the streams of others.
_SEARCHERS: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="content-filter")
UNJUDGED_RULE: Final = "guard-unjudged"
_UNJUDGED: Final = Refusal(
    # Nothing is wrong with the request, and whoever watches for errors shall hear of it.
    status=503,
    code="guard_unavailable",
    kind="service_unavailable",
    message="This service answers only what its guard has judged, and it was not judged in time.",
    retry=True,
)
_KEYS: Final = {"rules", "max_characters", "max_body_bytes", "guard"}
_RULE_KEYS: Final = {"name", "patterns", "words"}
_NAME: Final = regex.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Text that one of the patterns finds is refused by its name."""

    name: str
    pattern: "regex.Pattern[str]"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A refusal, and by which rule."""

    rule: str
    refusal: Refusal


@dataclass(frozen=True, kw_only=True)
class ContentFilter:
    """max_characters: of all text of a request together; 0 is any number. max_body_bytes: of a request that is read."""

    rules: tuple[Rule, ...] = ()
    max_characters: int = 0
    max_body_bytes: int = BODY_BYTES
    guard: Guard | None = None

    async def judge(self, scope: Scope, receive: Receive) -> tuple[Verdict | None, Receive]:
        """Read a request. Return what is wrong with it, if anything, and what reads it once more."""
        body = await self._read(receive)
        if body is None:
            return _too_large(self.max_body_bytes), receive
        content_type = dict(scope["headers"]).get(b"content-type", b"application/json")
        verdict = await self.of_body(body, is_json=b"json" in content_type)
        return verdict, _again(body, receive)

    async def of_body(self, body: bytes, *, is_json: bool = True) -> Verdict | None:
        """Return what is wrong with a request of these bytes."""
        if not is_json:
            # Sound files and the like: there is no text in them that a rule could read.
            return None
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            # The engine says what is wrong with it; nothing is generated of it.
            return None
        found = list(texts(content))
        verdict = await asyncio.get_running_loop().run_in_executor(_SEARCHERS, self._by_rules, content, found)
        if verdict is None and self.guard is not None:
            return await self._by_guard(self.guard, said(found))
        return verdict

    async def _by_guard(self, guard: Guard, text: str) -> Verdict | None:
        word = await guard.judge(text)
        if not guard.refuses(word):
            return None
        return (
            Verdict(rule=UNJUDGED_RULE, refusal=_UNJUDGED)
            if word == UNJUDGED
            else _refused("guard", BY_RULES)
        )

    def _by_rules(self, content: object, found: Sequence[str]) -> Verdict | None:
        if has_token_prompt(content):
            return _refused("token-prompt", "Prompts must be text here, not numbers of tokens.")
        if self.max_characters and sum(map(len, found)) > self.max_characters:
            return _refused("length", f"The request has more than {self.max_characters} characters of text.")
        for rule in self.rules:
            if any(_matches(rule, text) for text in found):
                return _refused(rule.name, BY_RULES)
        return None

    async def _read(self, receive: Receive) -> bytes | None:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(pieces)
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self.max_body_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what hands out the body that was read, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _matches(rule: Rule, text: str) -> bool:
    try:
        return rule.pattern.search(text, timeout=SEARCH_SECONDS) is not None
    except TimeoutError:
        return True


def _refused(rule: str, message: str) -> Verdict:
    refusal = Refusal(status=400, code="content_filter", kind="invalid_request_error", message=message)
    return Verdict(rule=rule, refusal=refusal)


def _too_large(limit: int) -> Verdict:
    message = f"The request has more than {limit} bytes."
    refusal = Refusal(status=413, code="request_too_large", kind="invalid_request_error", message=message)
    return Verdict(rule="size", refusal=refusal)


def load(file: Path | None) -> ContentFilter | None:
    """Return the filter of a file; None is none. Raises ConfigurationError."""
    if file is None:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"VP_FILTER_FILE: {file} can not be read: {error}"
        raise ConfigurationError(message) from None
    return from_content(content)


def from_content(content: Any) -> ContentFilter:  # noqa: ANN401 - a JSON value
    """Return the filter that a file describes. Raises ConfigurationError."""
    fields = _mapping(content, "the filter", _KEYS)
    rules = fields.get("rules", [])
    if not isinstance(rules, list):
        message = "the filter: `rules` must be a list"
        raise ConfigurationError(message)
    return ContentFilter(
        rules=tuple(_rule(each) for each in cast("list[Any]", rules)),
        max_characters=_number(fields, "max_characters", 0),
        max_body_bytes=_number(fields, "max_body_bytes", BODY_BYTES),
        guard=guard_of(fields["guard"]) if "guard" in fields else None,
    )


def _rule(content: Any) -> Rule:  # noqa: ANN401 - a JSON value
    fields = _mapping(content, "a rule", _RULE_KEYS)
    name = fields.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"a rule of the filter needs a name of small letters, digits and dashes (found {name!r})"
        raise ConfigurationError(message)
    patterns = _strings(fields, "patterns", name)
    words = [rf"\b{regex.escape(word)}\b" for word in _strings(fields, "words", name)]
    if not patterns and not words:
        message = f"rule {name} of the filter: it has neither `patterns` nor `words`"
        raise ConfigurationError(message)
    joined = "|".join(f"(?:{each})" for each in [*patterns, *words])
    try:
        pattern = regex.compile(joined, regex.IGNORECASE | regex.V1)
    except regex.error as error:
        message = f"rule {name} of the filter: {error}"
        raise ConfigurationError(message) from None
    return Rule(name=name, pattern=pattern)


def _mapping(content: Any, what: str, keys: set[str]) -> Mapping[str, Any]:  # noqa: ANN401 - a JSON value
    if not isinstance(content, dict):
        message = f"{what} of VP_FILTER_FILE must be a mapping"
        raise ConfigurationError(message)
    fields = cast("dict[str, Any]", content)
    unknown = sorted(set(fields) - keys)
    if unknown:
        message = (
            f"{what} of VP_FILTER_FILE: unknown {', '.join(unknown)}; there are {', '.join(sorted(keys))}"
        )
        raise ConfigurationError(message)
    return fields


def _strings(fields: Mapping[str, Any], key: str, rule: str) -> list[str]:
    value = fields.get(key, [])
    if not isinstance(value, list) or not all(
        isinstance(item, str) and item for item in cast("list[Any]", value)
    ):
        message = f"rule {rule} of the filter: `{key}` must be a list of texts"
        raise ConfigurationError(message)
    return cast("list[str]", value)


def _number(fields: Mapping[str, Any], key: str, default: int) -> int:
    value = fields.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"the filter: `{key}` must be a whole number (found {value!r})"
        raise ConfigurationError(message)
    return value
