"""Turns pydantic's findings into problems in plain words, with the path as a reader of the file says it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from settings.problems import Problem

T = TypeVar("T")

_WRONG_TYPE: Final = {
    "string_type": ("must be text", "write text, in quotes if it looks like a number"),
    "int_type": ("must be a whole number", "write a whole number, without quotes"),
    "int_from_float": ("must be a whole number", "write a whole number"),
    "float_type": ("must be a number", "write a number, without quotes"),
    "finite_number": ("must be a finite number", "write a number"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "tuple_type": ("must be a list", "write a list, e.g. `[a, b]` or lines that begin with '- '"),
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def parse(
    adapter: TypeAdapter[T], annotation: object, value: object, root: str
) -> tuple[T | None, list[Problem]]:
    """Read a value as a type. Return it, or None and every problem; `root` is its path in the file."""
    try:
        return adapter.validate_python(value), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_problem(one, annotation, value, root) for one in found if not _follows(one, found)]


def suggest(word: object, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}? " if close else ""


@dataclass(frozen=True)
class _Place:
    """Where an error is: its path, the type that stands there, and the type that holds it."""

    path: str
    key: str
    here: object
    owner: object


def _follows(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Tell whether a list is called too short only because its items were refused."""
    loc = details["loc"]
    return details["type"] == "too_short" and any(
        one["loc"][: len(loc)] == loc != one["loc"] for one in found
    )


def _problem(details: ErrorDetails, annotation: object, value: object, root: str) -> Problem:
    place = _walk(details["loc"], annotation, value, root)
    reason, fix = _words(details, place)
    return Problem(place.path, None if details["type"] == "missing" else details["input"], reason, fix)


def _walk(loc: tuple[int | str, ...], annotation: object, value: object, root: str) -> _Place:
    """Follow pydantic's location through the types. A union's kind is a step to it, but not to a reader."""
    path, key, here, owner = root, root, _bare(annotation), None
    for step in loc:
        members = _members(here)
        if step in members:
            here = members[str(step)]
            continue
        owner, key = here, str(step)
        if isinstance(step, int):
            value = _item(value, step)
            path += f"[{label(value, step)}]"
            here = _bare((*get_args(here), object)[0])
        else:
            value = _item(value, step)
            path += f".{spelt(step)}"
            model = _model(here)
            field = model.model_fields.get(step) if model else None
            here = _bare(field.annotation) if field else object
    return _Place(path, key, here, owner)


def spelt(key: object) -> str:
    """Write a key for a path: as it is, or quoted where that would not be seen or not be one line."""
    text = str(key)
    return text if text.isprintable() and text.strip() else repr(text)


def label(item: object, index: int) -> str:
    """Name an item of a list by its `name`, or by its place where it has none."""
    name = cast("dict[Any, Any]", item).get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 80 else str(index)  # noqa: PLR2004


def _item(value: object, key: int | str) -> object:
    try:
        return cast("Any", value)[key]
    except (KeyError, IndexError, TypeError):
        return None


def _bare(annotation: object) -> object:
    """Take off `Annotated` and `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        rest = [member for member in get_args(annotation) if member is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 else annotation
    return annotation


def _members(annotation: object) -> dict[str, type[BaseModel]]:
    """Return the kinds of a discriminated union, by the word that chooses them."""
    if get_origin(annotation) not in {Union, UnionType}:
        return {}
    models = [model for model in map(_model, get_args(annotation)) if model]
    return {str(get_args(model.model_fields["kind"].annotation)[0]): model for model in models}


def _model(annotation: object) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return cast("type[BaseModel]", annotation) if is_model else None


def _keys(annotation: object) -> list[str]:
    model = _model(annotation)
    return list(model.model_fields) if model else ["kind"]


def _words(details: ErrorDetails, place: _Place) -> tuple[str, str]:
    """Say what is wrong and what to write instead."""
    context = details.get("ctx", {})
    match details["type"]:
        case "refusal":
            words = str(context["reason"]), str(context["fix"])
        case "missing":
            words = "is missing", f"add the key `{place.key}`{_expected(place.here)}"
        case "extra_forbidden":
            words = _known_mistake(place) or ("unknown key", _known_keys(place))
        case kind if kind in _WRONG_TYPE:
            words = _WRONG_TYPE[kind]
        case kind if kind in _BOUNDS:
            bound, phrase = _BOUNDS[kind]
            words = f"must be {phrase} {context[bound]}", f"write a value of {phrase} {context[bound]}"
        case "literal_error":
            words = "not one of the possible words", f"use one of: {context['expected']}"
        case "too_short" | "string_too_short":
            least = context["min_length"]
            words = f"too short: at least {least} needed", f"give at least {least}"
        case kind:
            words = _shape_words(kind, context, place) or (details["msg"], "correct the value")
    return words


def _known_mistake(place: _Place) -> tuple[str, str] | None:
    """Say why a key that is often written here can not work. Types without such keys are any pydantic model."""
    mistakes: Mapping[str, tuple[str, str]] = getattr(place.owner, "known_mistakes", {})
    return mistakes.get(place.key)


def _known_keys(place: _Place) -> str:
    keys = _keys(place.owner)
    return f"{suggest(place.key, keys)}remove it; the keys here are: {', '.join(keys)}"


def _expected(annotation: object) -> str:
    """Say what a missing key may hold, where that is short."""
    if kinds := _members(annotation):
        return f" with `{{kind: ...}}`, one of: {', '.join(kinds)}"
    if get_origin(annotation) is Literal:
        return f", one of: {', '.join(map(str, get_args(annotation)))}"
    if _model(annotation):
        return f" with the keys: {', '.join(_keys(annotation))}"
    return ""


def _shape_words(kind: str, context: Mapping[str, Any], place: _Place) -> tuple[str, str] | None:
    """Say that something else than a mapping stands where one of a known shape belongs."""
    kinds = list(_members(place.here))
    if kind == "union_tag_invalid":
        reason, hint = f"unknown kind {context['tag']!r}", suggest(context["tag"], kinds)
        return reason, f"{hint}use one of: {', '.join(kinds)}"
    if kind == "union_tag_not_found":
        return "has no `kind`, which decides the other keys", f"add `kind:` with one of: {', '.join(kinds)}"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        hint = (
            f"`kind:` is one of: {', '.join(kinds)}"
            if kinds
            else f"the keys are: {', '.join(_keys(place.here))}"
        )
        return "must be a mapping of keys to values", f"write `key: value` pairs; {hint}"
    return None
