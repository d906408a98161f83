"""A model that guards (of the class of Qwen3Guard): asked before the engine, within a budget of time.

Its chat template holds the question; it is sent the text as one message of a user, and answers in lines:

    Safety: Unsafe
    Categories: Violent

The engine is not asked to hold it to that form (`structured_outputs`). A model that guards keeps to it by itself, and
what does not keep to it is no judgement: a wrong model, a missing template, a text that talked it into something else.
Held to the form it would still say one of the three words, and nobody would know that it means nothing.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiohttp

from vllm_platform_middleware import metrics
from vllm_platform_middleware.configuration import ConfigurationError

BUDGET_MS: Final = 500
_KEYS: Final = {"url", "model", "budget_ms", "fail_open", "refuse"}
LEVELS: Final = ("safe", "controversial", "unsafe")
UNJUDGED: Final = "unjudged"
_SAFETY: Final = re.compile(r"^Safety:\s*(Safe|Unsafe|Controversial)\b", re.MULTILINE | re.IGNORECASE)
# "Safety: Unsafe", and a line of categories: 12 tokens and some.
_ANSWER_TOKENS: Final = 32


@dataclass(frozen=True, kw_only=True)
class Guard:
    """url: of a server with OpenAI's API. budget_ms: for the whole call.

    fail_open: what is not judged in time, or can not be, passes; else it is refused.
    refuse: words of the model that refuse.
    """

    url: str
    model: str
    budget_ms: int = BUDGET_MS
    fail_open: bool = False
    refuse: frozenset[str] = frozenset({"unsafe"})

    async def judge(self, text: str) -> str:
        """Return the model's word for a text, one of LEVELS, or UNJUDGED. Never raises."""
        try:
            async with asyncio.timeout(self.budget_ms / 1000):
                word = word_of(await self._ask(text))
        except (TimeoutError, OSError, ValueError, aiohttp.ClientError):
            word = UNJUDGED
        metrics.GUARD_ANSWERS.labels(word).inc()
        return word

    def refuses(self, word: str) -> bool:
        """Tell whether a text of which this was said is kept from the engine."""
        return not self.fail_open if word == UNJUDGED else word in self.refuse

    async def _ask(self, text: str) -> Any:  # noqa: ANN401 - a JSON value
        question = {
            "model": self.model,
            "messages": [{"role": "user", "content": without_markers(text)}],
            "max_tokens": _ANSWER_TOKENS,
            "temperature": 0,
        }
        # A session for each call: a kept connection that its server has just closed would be a text without a word.
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/v1/chat/completions",
                json=question,
                # The text goes to nobody else, whatever the server says.
                allow_redirects=False,
            ) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()


def without_markers(text: str) -> str:
    """Take the form from special tokens (`<|im_end|>`): else a text ends its own message, and writes the answer to it, too."""
    return text.replace("<|", "< |")


def word_of(answer: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return what a chat completion says of its text, one of LEVELS, or UNJUDGED."""
    try:
        said = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return UNJUDGED
    found = _SAFETY.search(said) if isinstance(said, str) else None
    return UNJUDGED if found is None else found[1].lower()


def guard_of(content: Any) -> Guard:  # noqa: ANN401 - a JSON value
    """Return the guard that a filter's file describes. Raises ConfigurationError."""
    if not isinstance(content, dict) or set(cast("dict[str, Any]", content)) - _KEYS:
        message = f"`guard` of VP_FILTER_FILE must be a mapping with {', '.join(sorted(_KEYS))}"
        raise ConfigurationError(message)
    fields = cast("dict[str, Any]", content)
    url, model = fields.get("url"), fields.get("model")
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
        message = f"guard.url of VP_FILTER_FILE: {url!r} is no address: write for example http://guard:8000"
        raise ConfigurationError(message)
    if not isinstance(model, str) or not model:
        message = "guard.model of VP_FILTER_FILE must name the model that the address serves"
        raise ConfigurationError(message)
    budget, fail_open = fields.get("budget_ms", BUDGET_MS), fields.get("fail_open", False)
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        message = f"guard.budget_ms of VP_FILTER_FILE: {budget!r} is no number of milliseconds"
        raise ConfigurationError(message)
    if not isinstance(fail_open, bool):
        message = "guard.fail_open of VP_FILTER_FILE must be true or false"
        raise ConfigurationError(message)
    refuse = fields.get("refuse", ["unsafe"])
    if not isinstance(refuse, list) or not set(cast("list[Any]", refuse)) <= set(LEVELS[1:]):
        message = f"guard.refuse of VP_FILTER_FILE must be a list of {', '.join(LEVELS[1:])}"
        raise ConfigurationError(message)
    return Guard(
        url=url.rstrip("/"),
        model=model,
        budget_ms=budget,
        fail_open=fail_open,
        refuse=frozenset(cast("list[str]", refuse)),
    )
