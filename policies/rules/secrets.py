"""Secrets stand in Secrets: not in values of charts, in environments of containers, in command lines or in ConfigMaps.

A secret is known by the name of what holds it, or by its own form. Names that end in the place of a secret (a Secret's name, a
file, an address) hold none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from .model import Config, Resource, resource_rule
from .values import SECRET, at, elements, entries, text
from .workloads import containers_of, has_pods, name_of

AREA: Final = "security"
_NAMES: Final = re.compile(
    r"(?i)(?:(?:^|[_.-])(?:pwd|secret|token|salt)"
    # These are what they are behind whatever stands before them: PGPASSWORD.
    r"|password|passwd|passphrase|client[_-]?secret|(?:auth|access)[_-]?token"
    r"|(?:api|access|secret|secret[_-]?access|private|encryption)[_-]?key)$"
)
# A list of them; one of `secrets` has names of Secrets.
_LISTS: Final = re.compile(r"(?i)(?:password|token|api[_-]?key|access[_-]?key)s$")
# Of tokens that are counted.
_COUNTS: Final = re.compile(r"(?i)(?:^|[_.-])(?:max|min|num|total|per)[_-]?(?:\w*[_-])?tokens?$")
# The name of a Secret, in the words of charts.
_REFERENCES: Final = re.compile(r"(?i)(?:existing|pull|tls|ca)[_-]?secret$")
_FORMS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bhf_[A-Za-z0-9]{30,}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}\b"
    r"|\bhvs\.[A-Za-z0-9_-]{20,}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/:@]+@"
)
# What stands where a secret could: nothing, a switch, or a reference that is filled in when the pod starts.
_HARMLESS: Final = re.compile(
    r"(?i)|true|false|yes|no|on|off|null|none|[01]|\$\{[^}]*\}|\$\([^)]*\)|\$__\w+\{[^}]*\}|/[\w./-]*"
)
_OPTION: Final = re.compile(r"--?([\w.-]+)(?:=(.*))?")


def _snake(name: str) -> str:
    """Return a name with marks between its words: charts write adminPassword, environments ADMIN_PASSWORD."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _is_secret(name: str, value: str) -> bool:
    words, called = value.strip(), _snake(name)
    if words == SECRET or _FORMS.search(words):
        return True
    named = _NAMES.search(called) and not _REFERENCES.search(called) and not _COUNTS.search(called)
    return bool(named) and not _HARMLESS.fullmatch(words)


def _as_text(value: object) -> str:
    """Return a text or a number as it is written; all else holds no secret."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else text(value)


def _found(pairs: Iterable[tuple[str, str, object]]) -> Iterator[str]:
    """Yield where a secret stands, never what it is. pairs: place, name, value."""
    for place, name, value in pairs:
        if _is_secret(name, _as_text(value)):
            yield place


def _named(value: object, path: tuple[str, ...], name: str) -> Iterator[tuple[str, str, object]]:
    """Yield all that is no mapping and no list: its place, what it is called, itself.

    A `value` goes by the `name` beside it, as in lists of variables, and what is in a list by the list's own.
    """
    if fields := entries(value):
        for key, item in fields.items():
            beside = text(fields.get("name")) if key == "value" else ""
            yield from _named(item, (*path, key), beside or key)
    elif isinstance(value, list):
        own = name[:-1] if _LISTS.search(_snake(name)) else name
        for index, item in enumerate(cast("list[object]", value)):
            yield from _named(item, (*path, str(index)), own)
    else:
        yield ".".join(path), name, value


@resource_rule(
    "no-secret-in-values",
    AREA,
    says="No value of a chart and no ConfigMap holds a secret",
    fix="keep it in the stack's secret store, and name the Secret that External Secrets makes of it (`secrets` in the settings)",
    types=lambda resource: resource.is_chart or resource.kind == "ConfigMap",
)
def values(resource: Resource, _: Config) -> Iterator[str]:
    """Helm keeps values, and Pulumi its state: who may read either would have the secret."""
    part = "values" if resource.is_chart else "data"
    what = "the chart" if resource.is_chart else "ConfigMap"
    pairs = _named(at(resource.props, part), (part,), part)
    yield from (f"{what} {resource.label} has a secret in {place}" for place in _found(pairs))


@resource_rule(
    "no-secret-in-env",
    AREA,
    says="No container has a secret in its environment or on its command line as plain text",
    fix="take it from a Secret: valueFrom.secretKeyRef, or a file of a mounted Secret",
    types=has_pods,
)
def environment(resource: Resource, _: Config) -> Iterator[str]:
    """Whoever may see the pod sees it."""
    for pod, container in containers_of(resource):
        pairs: list[tuple[str, str, Any]] = [
            (f"the variable {text(at(each, 'name'))}", text(at(each, "name")), at(each, "value"))
            for each in elements(container, "env")
        ]
        pairs += _options([text(each) for key in ("command", "args") for each in elements(container, key)])
        yield from (f"{name_of(container)} of {pod.owner} has a secret in {place}" for place in _found(pairs))


def _options(arguments: list[str]) -> list[tuple[str, str, Any]]:
    """Return options with their values, whether they are one argument or two."""
    found: list[tuple[str, str, Any]] = []
    for index, argument in enumerate(arguments):
        match = _OPTION.fullmatch(argument)
        if match is None:
            found.append((f"argument {index}", "", argument))
            continue
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        found.append((f"the option {match[1]}", match[1], following if match[2] is None else match[2]))
    return found


RULES: Final = (values, environment)
