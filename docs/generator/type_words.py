"""Says in words what a setting may hold, from its type."""

from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import annotated_types
from pydantic import AfterValidator, BaseModel

from docs.generator.tables import listed
from settings import scalars

# Semantic types, recognised by their own check. Every other text is just text; its row says what is meant.
_NAMED: Final = (
    (scalars.ModelName, f"DNS label, at most {scalars.MODEL_NAME_MAX} characters"),
    (scalars.PoolName, f"DNS label, at most {scalars.POOL_NAME_MAX} characters"),
    (scalars.ClusterName, f"DNS label, at most {scalars.CLUSTER_NAME_MAX} characters"),
    (scalars.Namespace, "DNS label"),
    (scalars.ClaimName, "DNS label"),
    (scalars.Zone, "zone"),
    (scalars.Digest, "`sha256:` and 64 hex digits"),
    (scalars.Revision, "40 hex digits"),
    (scalars.ReservationId, "`cr-` and 17 hex digits"),
    (scalars.CpuQuantity, "CPU quantity"),
    (scalars.MemoryQuantity, "memory quantity"),
)
_PLAIN: Final = {str: "text", bool: "true or false", int: "whole number", float: "number"}


def kinds_of(annotation: object) -> dict[str, type[BaseModel]]:
    """Return the members of a union by the `kind` that chooses them; empty for any other type."""
    bare, _ = unwrapped(annotation)
    if get_origin(bare) not in {Union, UnionType}:
        return {}
    members = [cast("type[BaseModel]", unwrapped(member)[0]) for member in get_args(bare)]
    return {str(get_args(member.model_fields["kind"].annotation)[0]): member for member in members}


def model_of(annotation: object) -> type[BaseModel] | None:
    """Return the section that a type is, if it is one."""
    bare, _ = unwrapped(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def item_of(annotation: object) -> object | None:
    """Return the type of a list's items; None for any other type."""
    bare, _ = unwrapped(annotation)
    return get_args(bare)[0] if get_origin(bare) is tuple else None


def unwrapped(annotation: object) -> tuple[object, list[Any]]:
    """Take off `Annotated` and `| None`. Return the rest, and all constraints that were met on the way."""
    constraints: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            constraints += more
        elif get_origin(annotation) in {Union, UnionType} and type(None) in get_args(annotation):
            rest = [member for member in get_args(annotation) if member is not type(None)]
            if len(rest) > 1:
                return Union[tuple(rest)], constraints  # noqa: UP007 - made of a tuple
            annotation = rest[0]
        else:
            return annotation, constraints


def words(annotation: object, constraints: list[Any]) -> str:
    """Say what a value of a type may be."""
    bare, more = unwrapped(annotation)
    constraints = [*constraints, *more]
    if kinds_of(bare):
        return "mapping by `kind`"
    if model_of(bare):
        return "mapping"
    if (item := item_of(bare)) is not None:
        return f"list of: {words(item, [])}"
    if get_origin(bare) is Literal:
        return f"one of {listed(map(str, get_args(bare)))}"
    for alias, name in _NAMED:
        if set(_checks(get_args(alias)[1:])) & set(_checks(constraints)):
            return name
    return _PLAIN[cast("type", bare)] + _bounds(constraints)


def _checks(constraints: Any) -> list[AfterValidator]:  # noqa: ANN401 - whatever stands in an Annotated
    return [constraint for constraint in constraints if isinstance(constraint, AfterValidator)]


def _bounds(constraints: list[Any]) -> str:
    said: list[str] = []
    for constraint in constraints:
        for part in getattr(constraint, "metadata", [constraint]):
            match part:
                case annotated_types.Ge(ge=bound):
                    said.append(f"at least {bound}")
                case annotated_types.Gt(gt=bound):
                    said.append(f"more than {bound}")
                case annotated_types.Le(le=bound):
                    said.append(f"at most {bound}")
                case annotated_types.Lt(lt=bound):
                    said.append(f"less than {bound}")
                case _:
                    pass
    return "".join(f", {each}" for each in said)
