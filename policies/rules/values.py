"""Values of resources as rules read them: plain, and some of them not known before a deployment.

A rule never fails on what it finds. A path that leads nowhere is None; one that leads through, or to, an unknown value is
UNKNOWN, about which no rule says anything: Pulumi asks again when it is known.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, cast


class Unknown(Enum):
    """The one value that stands for all that is not known yet."""

    VALUE = "known after deployment"


UNKNOWN: Final = Unknown.VALUE
SECRET: Final = "[secret]"  # noqa: S105 - what a render writes in a secret's place
RENDERED_UNKNOWN: Final = "[known after deployment]"


def rendered(value: object) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value of a render, with the unknown ones marked."""
    if isinstance(value, dict):
        return {key: rendered(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [rendered(item) for item in cast("list[object]", value)]
    return UNKNOWN if value == RENDERED_UNKNOWN else value


def at(value: object, *path: str | int) -> Any:  # noqa: ANN401 - whatever lies there
    """Return what lies at a path, None where nothing does."""
    found: Any = value
    for step in path:
        if found is UNKNOWN:
            return UNKNOWN
        if isinstance(step, str) and isinstance(found, Mapping):
            found = cast("Mapping[str, Any]", found).get(step)
        elif isinstance(step, int) and _is_list(found) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return None
    return found


def elements(value: object, *path: str | int) -> list[Any]:
    """Return the known elements of the list at a path; none where there is no list."""
    found = at(value, *path)
    return [each for each in cast("list[Any]", found) if each is not UNKNOWN] if _is_list(found) else []


def entries(value: object, *path: str | int) -> dict[str, Any]:
    """Return the mapping at a path; an empty one where there is none."""
    found = at(value, *path)
    return dict(cast("Mapping[str, Any]", found)) if isinstance(found, Mapping) else {}


def hidden(value: object, *path: str | int) -> bool:
    """Tell whether a list at a path, or one of its elements, is not known yet."""
    found = at(value, *path)
    return found is UNKNOWN or (_is_list(found) and any(each is UNKNOWN for each in found))


def is_(value: object, wanted: object) -> bool:
    """Tell whether a value is, or may yet turn out to be, what is wanted. AWS takes booleans as words, too."""
    return value is UNKNOWN or value == wanted or (isinstance(wanted, bool) and value == str(wanted).lower())


def agree(one: object, other: object) -> bool:
    """Tell whether two values are the same, or may turn out to be."""
    return one == other or one is UNKNOWN or other is UNKNOWN


def may(test: Callable[[Any], bool], value: object, *path: str | int) -> bool:
    """Tell whether an element of the list at a path passes a test, or may turn out to."""
    return hidden(value, *path) or any(map(test, elements(value, *path)))


def among(value: object, words: Collection[str]) -> bool:
    """Tell whether a value is one of some words. Anything else than a text is not."""
    return isinstance(value, str) and value in words


def text(value: object) -> str:
    """Return a text; anything else is an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """Return a number, however it is written; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return float(cast("Any", value)) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def parsed(value: object) -> Any:  # noqa: ANN401 - a JSON value
    """Return what a text of JSON says, None where it is none. Anything else is returned as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all that is no mapping and no list, with the way to it."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, object]", value).items():
            yield from leaves(item, (*path, str(key)))
    elif _is_list(value):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield from leaves(item, (*path, str(index)))
    else:
        yield path, value


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
