"""Paths and lists, as messages spell them."""

from collections import Counter
from collections.abc import Iterable

from settings.models import Model
from settings.pools import Pool
from settings.problems import Problem


def at(item: Model | Pool, *keys: str) -> str:
    """Return the path of a key of a model or a pool."""
    section = "models" if isinstance(item, Model) else "pools"
    return ".".join([f"{section}[{item.name}]", *keys])


def listed(words: Iterable[str]) -> str:
    """Write words as a list, or say that there are none."""
    return ", ".join(words) or "none"


def repeated(words: Iterable[str], path: str, what: str) -> list[Problem]:
    """Refuse words that stand in a list more than once."""
    return [
        Problem(
            path, word, f"{what} {word!r} is there {count} times", "write it once, or give each its own name"
        )
        for word, count in Counter(words).items()
        if count > 1
    ]
