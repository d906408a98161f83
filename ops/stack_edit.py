"""Changes single values of a stack file and leaves every other byte of it as it is.

PyYAML says where each value stands; only that stretch of text is replaced. A library that reads a file and writes it
anew would lay out lists and long lines in its own way, and would take the comment behind a removed key along.
After each change the text is read again: unless it then says exactly what was meant, the change is refused.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from rehearsal.errors import UserError
from settings import stack_yaml

Step = str | tuple[str, str]
"""Of a path: a key, or of a list the entry whose key has a value: `("name", "qwen-7b-vllm")`."""
_INDENT: Final = 2
# A mapping of plain values is written in one line up to here.
_LINE: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+-]+")


class EditError(UserError):
    """The file is written in a form (an alias, a key of a merge) in which a single value can not be changed."""


def set_value(text: str, path: Sequence[Step], value: object) -> str:
    """Return the text with a value set; its key is added where it is missing. Raises EditError.

    A value that stands there keeps its quotes and its comment; of a mapping that stands there only what differs is changed.
    """
    parent = _find(text, path[:-1])
    pair = _pair(parent, _key(path))
    if pair is None:
        return _checked(text, _insert(text, parent, _key(path), value), path, value)
    node = pair[1]
    if isinstance(node, yaml.MappingNode) and isinstance(value, Mapping):
        return _merge(text, path, node, cast("Mapping[str, object]", value))
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return set_value(remove(text, path), path, value)
    written = _scalar(value, node.style) if isinstance(node, yaml.ScalarNode) else _flow(value)
    changed = text[: node.start_mark.index] + written + text[node.end_mark.index :]
    return _checked(text, changed, path, value)


def remove(text: str, path: Sequence[Step]) -> str:
    """Return the text without a key and its value; the same text where it is missing. Raises EditError."""
    parent = _find(text, path[:-1])
    pair = _pair(parent, _key(path))
    return text if pair is None else _checked(text, _cut(text, parent, pair), path, None)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever reads it, and whoever is killed, finds the old text or the new one."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(target.stat().st_mode & 0o777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_exactly(path: Path) -> str:
    """Read a file with its ends of lines as they are."""
    return path.read_bytes().decode("utf-8")


def _find(text: str, path: Sequence[Step]) -> yaml.MappingNode:
    # The package has no types.
    node = cast("yaml.Node | None", cast("Any", yaml).compose(text, Loader=yaml.SafeLoader))
    for step in path:
        found = _entry(node, step) if isinstance(step, tuple) else _value(node, step)
        if found is None:
            raise EditError(
                f"{_said(path)} does not stand in the file as a key of its own: change it by hand"
            )
        node = found
    if not isinstance(node, yaml.MappingNode):
        raise EditError(f"{_said(path)} is no mapping in the file: change it by hand")
    return node


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pair = _pair(node, key) if isinstance(node, yaml.MappingNode) else None
    return pair[1] if pair else None


def _entry(node: yaml.Node | None, step: tuple[str, str]) -> yaml.Node | None:
    entries = cast("list[yaml.Node]", node.value) if isinstance(node, yaml.SequenceNode) else []
    for entry in entries:
        name = _value(entry, step[0])
        if isinstance(name, yaml.ScalarNode) and name.value == step[1]:
            return entry
    return None


def _pair(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((pair for pair in _pairs(node) if pair[0].value == key), None)


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return cast("list[tuple[yaml.Node, yaml.Node]]", node.value)


def _key(path: Sequence[Step]) -> str:
    last = path[-1]
    if not isinstance(last, str):
        raise TypeError(f"{_said(path)}: the last step of a path is a key")
    return last


def _end(node: yaml.Node) -> int:
    """Return where a node's text ends; PyYAML ends a block where the next thing begins, behind comments."""
    last: yaml.Node | None = None
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        last = node.value[-1][1]
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
    return _end(last) if last is not None else node.end_mark.index


def _insert(text: str, parent: yaml.MappingNode, key: str, value: object) -> str:
    if parent.flow_style:
        end = parent.end_mark.index - 1
        head = text[:end].rstrip()
        comma = "" if head.endswith(("{", ",")) else ", "
        return f"{head}{comma}{key}: {_flow(value)}{text[len(head) : end]}{text[end:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    place = text.find("\n", _end(parent))
    if place < 0:
        text, place = text + newline, len(text + newline) - 1
    indent = parent.value[0][0].start_mark.column
    lines = "".join(line + newline for line in _block(key, value, indent))
    return text[: place + 1] + lines + text[place + 1 :]


def _merge(text: str, path: Sequence[Step], node: yaml.MappingNode, value: Mapping[str, object]) -> str:
    for key in [name.value for name, _ in _pairs(node) if name.value not in value]:
        text = remove(text, [*path, key])
    for key, entry in value.items():
        text = set_value(text, [*path, key], entry)
    return text


def _cut(text: str, parent: yaml.MappingNode, pair: tuple[yaml.Node, yaml.Node]) -> str:
    start, end = pair[0].start_mark.index, _end(pair[1])
    if not parent.flow_style:
        start = text.rfind("\n", 0, start) + 1
        newline = text.find("\n", end)
        return text[:start] + (text[newline + 1 :] if newline >= 0 else "")
    before = text[:start].rstrip()
    if before.endswith(","):
        return before[:-1] + text[end:]
    after = text[end:].lstrip()
    return text[:start] + (after[1:].lstrip() if after.startswith(",") else after)


def _block(key: str, value: object, indent: int) -> list[str]:
    head = " " * indent + f"{key}:"
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        nested = any(isinstance(entry, Mapping) for entry in entries.values())
        if nested or len(head) + len(_flow(entries)) > _LINE:
            return [
                head,
                *(line for name, entry in entries.items() for line in _block(name, entry, indent + _INDENT)),
            ]
    if isinstance(value, list) and len(head) + len(_flow(cast("object", value))) > _LINE:
        items = cast("list[object]", value)
        # One line of a diff for each entry.
        return [head, *(" " * (indent + _INDENT) + f"- {_flow(item)}" for item in items)]
    return [f"{head} {_flow(cast('object', value))}"]


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return "{" + ", ".join(f"{name}: {_flow(entry)}" for name, entry in entries.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(entry) for entry in cast("list[object]", value)) + "]"
    return _scalar(value, None)


def _scalar(value: object, style: str | None) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if style == "'" and "'" not in value:
        return f"'{value}'"
    plain = style != '"' and _PLAIN.fullmatch(value) and stack_yaml.load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _checked(text: str, changed: str, path: Sequence[Step], value: object) -> str:
    meant = _unshared(text)
    place: Any = meant
    for step in path[:-1]:
        place = (
            next(entry for entry in place if entry.get(step[0]) == step[1])
            if isinstance(step, tuple)
            else place[step]
        )
    if value is None:
        place.pop(_key(path), None)
    else:
        place[_key(path)] = value
    try:
        said = _unshared(changed)
    except stack_yaml.YAML_ERRORS:
        said = None
    if said != meant:
        raise EditError(f"{_said(path)} can not be changed without changing something else: do it by hand")
    return changed


def _unshared(text: str) -> Any:  # noqa: ANN401 - whatever a file may say
    """Read a text; what an alias repeats is a value of its own in each place."""
    return json.loads(json.dumps(stack_yaml.load(text)))


def _said(path: Sequence[Step]) -> str:
    return ".".join(step if isinstance(step, str) else step[1] for step in path)
