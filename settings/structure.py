"""Turns pydantic's findings into problems in plain words, with the path as a reader of the file would say it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin

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
    """Read a value as a type. Return it, or None and every problem; `root` is the path of the value in the file."""
    try:
        return adapter.validate_python(value), []
    except ValidationError as error:
        return None, [
            _problem(details, annotation, value, root) for details in error.errors(include_url=False)
        ]


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


def _problem(details: ErrorDetails, annotation: object, value: object, root: str) -> Problem:
    place = _walk(details["loc"], annotation, value, root)
    reason, fix = _words(details, place)
    return Problem(place.path, None if details["type"] == "missing" else details["input"], reason, fix)


def _walk(loc: tuple[int | str, ...], annotation: object, value: object, root: str) -> _Place:
    """Follow pydantic's location through the types. It names the chosen kind of a union as a step; a reader does not."""
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
            path += f".{step}"
            field = (
                here.model_fields.get(step)
                if isinstance(here, type) and issubclass(here, BaseModel)
                else None
            )
            here = _bare(field.annotation) if field else object
    return _Place(path, key, here, owner)


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
    models = [
        member
        for member in get_args(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    ]
    return {str(get_args(model.model_fields["kind"].annotation)[0]): model for model in models}


def _keys(annotation: object) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return ["kind"] if _members(annotation) else []


def _words(details: ErrorDetails, place: _Place) -> tuple[str, str]:
    """Say what is wrong and what to write instead."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "refusal":
        return str(context["reason"]), str(context["fix"])
    if kind in _WRONG_TYPE:
        return _WRONG_TYPE[kind]
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"must be {words} {context[bound]}", f"write a value of {words} {context[bound]}"
    if kind in {"extra_forbidden", "missing"}:
        return _key_words(kind, place)
    if kind.startswith("union_tag") or kind in {"model_type", "model_attributes_type", "dict_type"}:
        return _shape_words(kind, context, place)
    if kind == "literal_error":
        return "not one of the possible words", f"use one of: {context['expected']}"
    if kind in {"too_short", "string_too_short"}:
        return f"too short: at least {context['min_length']} needed", f"give at least {context['min_length']}"
    return details["msg"], "correct the value"


def _key_words(kind: str, place: _Place) -> tuple[str, str]:
    keys = _keys(place.owner)
    if kind == "missing":
        return "is missing", f"add the key `{place.key}`"
    return "unknown key", f"{suggest(place.key, keys)}remove it; the keys here are: {', '.join(keys)}"


def _shape_words(kind: str, context: Mapping[str, Any], place: _Place) -> tuple[str, str]:
    kinds = list(_members(place.here))
    if kind == "union_tag_invalid":
        return (
            f"unknown kind {context['tag']!r}",
            f"{suggest(context['tag'], kinds)}use one of: {', '.join(kinds)}",
        )
    if kind == "union_tag_not_found":
        return "has no `kind`, which decides the other keys", f"add `kind:` with one of: {', '.join(kinds)}"
    hint = (
        f"`kind:` is one of: {', '.join(kinds)}" if kinds else f"the keys are: {', '.join(_keys(place.here))}"
    )
    return "must be a mapping of keys to values", f"write `key: value` pairs; {hint}"
