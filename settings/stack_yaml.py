"""Reads YAML as Pulumi reads it, so that what passes here means the same to `pulumi up`."""

import re
from collections.abc import Hashable
from typing import Any, Final, cast

import yaml

# libyaml reads a stack file about 8 times faster, where PyYAML was built with it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What a malformed document, or a value at odds with its explicit tag, makes PyYAML raise.
YAML_ERRORS: Final = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError)
_TAG: Final = "tag:yaml.org,2002:"


class _PulumiYaml(_Base):
    """Plain scalars as Pulumi's YAML library has them: `on`, `yes`, `22:00` and dates are text."""

    yaml_implicit_resolvers: Final[dict[Any, Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Refuse a key that is written twice, as Pulumi does: PyYAML would keep the last without a word."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} is written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return cast("dict[Hashable, Any]", super().construct_mapping(node, deep=deep))  # pyright: ignore[reportUnknownMemberType] - PyYAML's C loader has no types


def _resolve(kind: str, pattern: str, first: str) -> None:
    _PulumiYaml.add_implicit_resolver(f"{_TAG}{kind}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", r"[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+.0123456789",
)
_resolve("merge", "<<", "<")
_PulumiYaml.add_implicit_resolver(f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def load(text: str) -> object:
    """Read one document. Raises one of YAML_ERRORS."""
    return yaml.load(text, Loader=_PulumiYaml)  # noqa: S506 - derived from a safe loader


def explain(error: Exception) -> str:
    """Say in one line what is wrong with a document, and where."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"{where}{error.problem or error.context}"
    return " ".join(str(error).split()) or type(error).__name__
