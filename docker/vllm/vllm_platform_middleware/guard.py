"""A model that guards (of the class of Qwen3Guard): asked before the engine, within a budget of time."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiohttp

from vllm_platform_middleware.configuration import ConfigurationError

BUDGET_MS: Final = 500
_KEYS: Final = {"url", "model", "budget_ms", "fail_open", "refuse"}
LEVELS: Final = ("safe", "controversial", "unsafe")
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

    async def allows(self, text: str) -> bool:
        """Ask it. Never raises."""
        try:
            async with asyncio.timeout(self.budget_ms / 1000):
                word = await self._ask(text)
        except (TimeoutError, OSError, ValueError, aiohttp.ClientError):
            return self.fail_open
        return self.fail_open if word is None else word not in self.refuse

    async def _ask(self, text: str) -> str | None:
        question = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": _ANSWER_TOKENS,
            "temperature": 0,
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/v1/chat/completions", json=question) as answer,
        ):
            answer.raise_for_status()
            content: Any = await answer.json()
        try:
            said = content["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            return None
        found = _SAFETY.search(said) if isinstance(said, str) else None
        return None if found is None else found[1].lower()


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
