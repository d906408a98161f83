"""Secrets stand in Secrets: not in values of charts, in environments of containers, in command lines or in ConfigMaps.

A secret is known by the name of what holds it, or by its own form. Names that end in the place of a secret (a Secret's name, a
file, an address) hold none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .model import Config, Resource, resource_rule
from .values import SECRET, at, elements, leaves, text
from .workloads import containers_of, has_pods, name_of

AREA: Final = "security"
_NAMES: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|pwd|secret|secret[_-]?key|secret[_-]?access[_-]?key|token|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|client[_-]?secret|admin[_-]?password|encryption[_-]?key|salt)$"
)
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
_HARMLESS: Final = re.compile(r"(?i)|true|false|null|none|\$\{[^}]*\}|\$\([^)]*\)|\$__\w+\{[^}]*\}|/[\w./-]*")
_OPTION: Final = re.compile(r"--?([\w.-]+)(?:=(.*))?")


def _snake(name: str) -> str:
    """Return a name with marks between its words: charts write adminPassword, environments ADMIN_PASSWORD."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _is_secret(name: str, value: object) -> bool:
    words = text(value).strip()
    if words == SECRET or _FORMS.search(words):
        return True
    named = _NAMES.search(_snake(name)) and not _REFERENCES.search(_snake(name))
    return bool(named) and not _HARMLESS.fullmatch(words)


def _found(pairs: Iterable[tuple[str, str, object]]) -> Iterator[str]:
    """Yield where a secret stands, never what it is. pairs: place, name, value."""
    for place, name, value in pairs:
        if isinstance(value, str) and _is_secret(name, value):
            yield place


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
    pairs = (
        (".".join((part, *path)), path[-1] if path else part, value)
        for path, value in leaves(at(resource.props, part))
    )
    what = "the chart" if resource.is_chart else "ConfigMap"
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
