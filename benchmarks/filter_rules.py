"""Twenty rules as a company writes them, and a long prompt in which none of them finds anything: the dearest case."""

import random
from typing import Any, Final

_PATTERNS: Final = {
    "cloud-keys": r"AKIA[0-9A-Z]{16}",
    "forge-tokens": r"gh[pousr]_[A-Za-z0-9]{36}",
    "chat-tokens": r"xox[baprs]-[0-9A-Za-z-]{10,48}",
    "private-keys": r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
    "web-tokens": r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "accounts": r"\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\b",
    "cards": r"\b(?:[0-9][ -]?){13,16}\b",
    "social-security": r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    "mail": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    "phones": r"\+[0-9]{1,3}[ -]?[0-9]{3,14}",
    "addresses": r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
    "databases": r"postgres(?:ql)?://[^ ]{1,99}:[^ ]{1,99}@",
    "orders": r"ignore (?:all |the )?(?:previous|prior) instructions",
    "the-system-s-word": r"reveal (?:your|the) (?:system )?prompt",
    "anything": r"do anything now",
}
_WORDS: Final = {
    "secret-project": ["project x"],
    "projects": ["project falcon", "project eagle", "project heron"],
    "colours": ["plan blue", "plan green", "plan red", "plan black", "plan white"],
    "stars": ["orion", "vega", "sirius", "rigel", "deneb", "altair", "antares", "spica", "castor", "pollux"],
    "marked": ["internal only", "strictly confidential"],
}
RULES: Final[list[dict[str, Any]]] = [
    *({"name": name, "patterns": [pattern]} for name, pattern in _PATTERNS.items()),
    *({"name": name, "words": words} for name, words in _WORDS.items()),
]

_CHARACTERS: Final = 32_000
"""8,000 tokens of English."""
_ENGLISH: Final = """
the of and to in model service answer question data table user system when where value number list time about which there
their would other into more some very after most also many must through back years where much your should because each just
those people take year good some them see than then now look only come over think
"""


def long_prompt() -> str:
    """Return the same text each time."""
    choice = random.Random(0).choices(_ENGLISH.split(), k=_CHARACTERS // 4)  # noqa: S311 - no secret
    return " ".join(choice)[:_CHARACTERS]
