"""What of a request's text is refused before the engine sees it, by the middleware of the image."""

from typing import Annotated, Final, Literal

import regex
from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.scalars import Positive, Switch

RULE_NAME_MAX: Final = 63
BODY_BYTES: Final = 20_000_000
BUDGET_MS: Final = 500
"""Both are the middleware's own; a test holds them equal."""
_RULE_NAME: Final = regex.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_URL: Final = regex.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?(/[\w./-]*)?")


def _rule_name(value: str) -> str:
    if not _RULE_NAME.fullmatch(value):
        raise refusal(
            "not the name of a rule", f"use at most {RULE_NAME_MAX} small letters, digits and dashes"
        )
    return value


def _pattern(value: str) -> str:
    try:
        compiled = regex.compile(value, regex.IGNORECASE | regex.V1)
    except regex.error as error:
        raise refusal(
            f"not a regular expression: {error}", "correct it; it is one of Python's package `regex`"
        ) from None
    if compiled.search("") is not None:
        raise refusal(
            "finds something in an empty text, so it would refuse every request", "make it narrower"
        )
    return value


def _word(value: str) -> str:
    if not value.strip():
        raise refusal("a word of nothing would be in every text", "write a word, or remove it")
    return value


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise refusal(
            "not the address of a server", "write e.g. 'http://guard.internal:8000', without credentials"
        )
    return value.rstrip("/")


Verdicts = Annotated[tuple[Literal["unsafe", "controversial"], ...], Field(min_length=1)]


class Rule(Section):
    """Text in which a pattern or a word of it stands is refused, by its name. Case does not count; words are whole."""

    name: Annotated[str, AfterValidator(_rule_name)]
    patterns: tuple[Annotated[str, AfterValidator(_pattern)], ...] = ()
    words: tuple[Annotated[str, AfterValidator(_word)], ...] = ()


class StackGuard(Section):
    """A model of this stack that guards, such as Qwen3Guard. Its own requests are not filtered.

    budget_ms: time for its verdict. fail_open: what it does not judge in that time passes; else it is refused.
    refuse: its verdicts that refuse.
    """

    kind: Literal["model"]
    model: str
    budget_ms: Positive = BUDGET_MS
    fail_open: Switch = False
    refuse: Verdicts = ("unsafe",)


class ServerGuard(Section):
    """A model that guards on another server, by its name there. The rest is as of a guard of this stack."""

    kind: Literal["server"]
    url: Annotated[str, AfterValidator(_url)]
    model: Annotated[str, Field(min_length=1)]
    budget_ms: Positive = BUDGET_MS
    fail_open: Switch = False
    refuse: Verdicts = ("unsafe",)


Guard = Annotated[StackGuard | ServerGuard, Field(discriminator="kind")]


class NoFilter(Section):
    """Nothing is read and nothing refused."""

    kind: Literal["off"]


class RuleFilter(Section):
    """Rules first, then the guard if there is one. max_characters: of all text of a request; None is any number.

    max_body_bytes: of a request.
    """

    kind: Literal["rules"]
    rules: tuple[Rule, ...] = ()
    max_characters: Positive | None = None
    max_body_bytes: Positive = BODY_BYTES
    guard: Guard | None = None


Filter = Annotated[NoFilter | RuleFilter, Field(discriminator="kind")]


def is_guard(guard: Guard | None, model: str) -> bool:
    """Tell whether a guard is this model of the stack."""
    return isinstance(guard, StackGuard) and guard.model == model
