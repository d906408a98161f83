"""Paths and lists, as messages spell them."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from settings.models import Model
from settings.pools import Pool
from settings.problems import Problem
from settings.release import Release
from settings.versions import Canary, canary_of

RELEASE: Final = "rollout.candidate.release"


def at(item: Model | Pool, *keys: str) -> str:
    """Return the path of a key of a model or a pool. What a candidate is stands inside its model; the rest is the model's."""
    if isinstance(item, Canary):
        own = [RELEASE] if keys[0] in Release.model_fields else []
        return ".".join([f"models[{item.stable}]", *own, *keys])
    section = "models" if isinstance(item, Model) else "pools"
    return ".".join([f"{section}[{item.name}]", *keys])


def of_versions(models: Iterable[Model], check: Callable[[Model], Iterable[Problem]]) -> list[Problem]:
    """Check each model and the candidate of its rollout. What a candidate only inherits is said once, of the model."""
    problems: list[Problem] = []
    for model in models:
        own = list(check(model))
        canary = canary_of(model)
        said = {problem.reason for problem in own}
        new = [] if canary is None else [one for one in check(canary) if one.reason not in said]
        problems += [*own, *new]
    return problems


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
