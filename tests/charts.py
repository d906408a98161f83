"""Compares values that this program sets with what the published charts have."""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from jsonschema import validators


def published_values(root: Path, folder: str) -> dict[str, Any]:
    """Return a chart's own values.yaml; skips the test where the charts are not at hand."""
    path = root.parent / "shared" / "charts" / folder / "values.yaml"
    # In CI the charts must be there: a test that always skips guards nothing.
    if not path.is_file() and os.environ.get("VP_REQUIRE_SHARED") != "1":
        pytest.skip(f"the chart's values are not here: {path}")
    return cast("dict[str, Any]", yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader))


def unknown_keys(
    values: Mapping[str, Any], published: Mapping[str, Any], exceptions: Collection[str] = ()
) -> list[str]:
    """Return the keys, as `a.b.c`, that the chart does not have.

    A default of `{}` or null takes anything below it. exceptions: paths that templates read and values.yaml does not show.
    """
    return [path for path in _unknown(values, published, "") if path not in exceptions]


def _unknown(values: object, published: object, path: str) -> Iterator[str]:
    if not isinstance(values, Mapping) or published in ({}, None):
        return
    known = cast("Mapping[str, Any]", published if isinstance(published, Mapping) else {})
    for key, value in cast("Mapping[str, Any]", values).items():
        here = f"{path}.{key}" if path else key
        if key not in known:
            yield here
        else:
            yield from _unknown(value, known[key], here)


def merged(values: Mapping[str, Any], published: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the chart's templates see: its own values with ours over them, as Helm merges them."""
    result: dict[str, Any] = dict(published)
    for key, value in values.items():
        before = result.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            result[key] = merged(cast("Mapping[str, Any]", value), cast("Mapping[str, Any]", before))
        elif value is None:
            # Helm takes null for "without the default".
            result.pop(key, None)
        else:
            result[key] = value
    return result


def schema_errors(root: Path, folder: str, values: Mapping[str, Any]) -> list[str]:
    """Return what the chart's schema says of the merged values; nothing where it has no schema."""
    published = published_values(root, folder)
    path = root.parent / "shared" / "charts" / folder / "values.schema.json"
    if not path.exists():
        return []
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = validators.validator_for(schema)(schema)
    found = validator.iter_errors(merged(values, published))  # pyright: ignore[reportUnknownMemberType] - untyped there
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


GPU_TAINT: Final = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def tolerating(values: object, path: str = "") -> list[str]:
    """Return the paths of `tolerations` that let a pod onto GPU nodes."""
    found: list[str] = []
    if isinstance(values, Mapping):
        for key, value in cast("Mapping[str, Any]", values).items():
            here = f"{path}.{key}" if path else key
            if key == "tolerations" and isinstance(value, Sequence):
                if any(_tolerates(one) for one in cast("Sequence[Mapping[str, Any]]", value)):
                    found.append(here)
            else:
                found += tolerating(value, here)
    elif isinstance(values, list):
        for index, value in enumerate(cast("list[object]", values)):
            found += tolerating(value, f"{path}[{index}]")
    return found


def _tolerates(toleration: Mapping[str, Any]) -> bool:
    """Read a toleration as the scheduler does."""
    if toleration.get("effect") not in {None, "", GPU_TAINT["effect"]}:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in {None, "", GPU_TAINT["key"]}
    return (toleration.get("key"), toleration.get("value")) == (GPU_TAINT["key"], GPU_TAINT["value"])
