"""The reference of all settings: one table a section, one row a field, from the types that read a stack file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generator.meanings import MEANINGS
from docs.generator.tables import table
from docs.generator.type_words import item_of, kinds_of, model_of, words
from settings import Settings
from settings.release import ReleaseChange
from settings.sections import SECTIONS

_REQUIRED: Final = "required"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting. `kinds`: the members of the union that have it; empty for a field that is always there."""

    path: str
    holds: str
    default: str
    meaning: str
    kinds: tuple[str, ...] = ()


def reference() -> str:
    """Return all sections with their tables, as Markdown."""
    return "\n\n".join(_section(name) for name in SECTIONS)


def short_reference() -> str:
    """Return one row a section, as Markdown."""
    rows: list[tuple[str, ...]] = []
    for name in SECTIONS:
        field = Settings.model_fields[name]
        rows.append(
            (
                f"`{name}`",
                words(field.annotation, field.metadata),
                _default(field),
                _meaning("Settings", name),
            )
        )
    return table(("section", "type", "default", "meaning"), rows)


def rows_of(section: str) -> list[Row]:
    """Return the rows of a section; a list's rows are those of one item."""
    field = Settings.model_fields[section]
    item = item_of(field.annotation)
    if item is not None:
        return list(_inside("", item))
    if model_of(field.annotation) or kinds_of(field.annotation):
        return list(_inside("", field.annotation))
    return [_row("", section, field, "Settings")]


def used_meanings() -> set[str]:
    """Return the keys of every meaning that some table shows."""
    seen: set[str] = set()

    def visit(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            seen.add(f"{model.__name__}.{name}")
            inner = item_of(field.annotation) or field.annotation
            for member in [model_of(inner), *kinds_of(inner).values()]:
                if member is not None:
                    visit(member)

    visit(Settings)
    return seen


def _section(name: str) -> str:
    field = Settings.model_fields[name]
    many = item_of(field.annotation) is not None
    head = f"### `{name}`\n\n{_meaning('Settings', name)}{' A list; of each item:' if many else ''}"
    rows = [(_key(row), row.holds, row.default, row.meaning) for row in rows_of(name)]
    return f"{head}\n\n{table(('key', 'type', 'default', 'meaning'), rows)}"


def _key(row: Row) -> str:
    return f"`{row.path}`" + (f" ({', '.join(row.kinds)})" if row.kinds else "")


def _inside(prefix: str, annotation: object) -> Iterator[Row]:
    """Return the rows below a mapping, or below a union of mappings."""
    model = model_of(annotation)
    if model is not None:
        yield from _fields(prefix, model)
        return
    kinds = kinds_of(annotation)
    yield _kind_row(prefix, kinds)
    merged: dict[Row, list[str]] = {}
    for kind, member in kinds.items():
        for row in _fields(prefix, member):
            if row.path != f"{prefix}kind":
                merged.setdefault(row, []).append(kind)
    yield from _with_kinds(merged, tuple(kinds))


def _with_kinds(rows: Mapping[Row, list[str]], kinds: tuple[str, ...]) -> Iterable[Row]:
    """Name the kinds that have a row, unless all have it."""
    for row, owners in rows.items():
        yield row if tuple(owners) == kinds or row.kinds else replace(row, kinds=tuple(owners))


def _kind_row(prefix: str, kinds: Mapping[str, type[BaseModel]]) -> Row:
    path = f"{prefix}kind"
    said = [f"`{kind}`: {_meaning(member.__name__, 'kind')}" for kind, member in kinds.items()]
    choices = ", ".join(f"`{kind}`" for kind in kinds)
    return Row(path=path, holds=f"one of {choices}", default=_REQUIRED, meaning="; ".join(said) + ".")


def _fields(prefix: str, model: type[BaseModel]) -> Iterator[Row]:
    """Return the rows of a mapping. What a release holds is the model's own, with rows of its own."""
    for name, field in model.model_fields.items():
        inner = item_of(field.annotation)
        nested = inner if inner is not None else field.annotation
        suffix = "[]" if inner is not None else ""
        yield _row(prefix, name, field, model.__name__)
        if model is not ReleaseChange and (model_of(nested) or kinds_of(nested)):
            yield from _inside(f"{prefix}{name}{suffix}.", nested)


def _row(prefix: str, name: str, field: FieldInfo, owner: str) -> Row:
    return Row(
        path=f"{prefix}{name}",
        holds=words(field.annotation, field.metadata),
        default=_default(field),
        meaning=_meaning(owner, name),
    )


def _meaning(owner: str, name: str) -> str:
    return MEANINGS[f"{owner}.{name}"]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return _REQUIRED
    value: Any = field.default
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        kind = getattr(value, "kind", None)
        return f"`{{kind: {kind}}}`" if kind else "the defaults below"
    if value in ((), ""):
        return "empty"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"
