"""What each rule of the policy pack is shown with: a stack that keeps it, and one property of it that the rule is about."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from policies.rules.catalogue import RULES
from policies.rules.model import Config, Found, Resource, ResourceRule, Stack
from policies.rules.values import UNKNOWN

Path = tuple[str | int, ...]
# A resource as a case has it: its type and its inputs.
Given = tuple[str, dict[str, Any]]
GONE = object()


@dataclass(frozen=True, kw_only=True)
class Case:
    """`keeps`: resources by name. at: the property, with the name of its resource first. wrong: values that break the rule.

    absent: whether it is broken by nothing at all in that place. says: what the message has in it.
    """

    rule: str
    keeps: Mapping[str, Given]
    at: Path
    wrong: tuple[Any, ...] = ()
    absent: bool = False
    says: str
    config: Config = field(default_factory=Config)

    def stack(self, change: Callable[[dict[str, Any]], None] | None = None) -> list[Resource]:
        """Return the case's resources, after a change of their inputs by name."""
        inputs = {name: deepcopy(props) for name, (_, props) in self.keeps.items()}
        if change:
            change(inputs)
        return [
            Resource(urn=urn(self.keeps[name][0], name), type=self.keeps[name][0], name=name, props=props)
            for name, props in inputs.items()
        ]

    def broken(self) -> Iterator[list[Resource]]:
        """Yield the case's resources, each time with one thing wrong."""
        for value in self.wrong:
            yield self.stack(lambda inputs, value=value: put(inputs, self.at, deepcopy(value)))
        if self.absent:
            yield self.stack(lambda inputs: put(inputs, self.at, GONE))

    def unknown(self) -> list[Resource]:
        """Return them with the property not known yet."""
        return self.stack(lambda inputs: put(inputs, self.at, UNKNOWN))

    def without(self) -> list[Resource]:
        """Return them without the property."""
        return self.stack(lambda inputs: put(inputs, self.at, GONE))


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::vllm-platform::{type_}::{name}"


def put(inputs: Any, path: Path, value: object) -> None:  # noqa: ANN401 - dicts and lists, in each other
    """Put a value to a path, or take away what lies there."""
    *way, last = path
    for step in way:
        inputs = inputs[step]
    if value is GONE:
        del inputs[last]
    else:
        inputs[last] = value


def said(rule: str, resources: list[Resource], config: Config) -> list[Found]:
    """Return what a rule says of some resources."""
    found = next(each for each in RULES if each.name == rule)
    if isinstance(found, ResourceRule):
        return [
            Found(message=message, urn=each.urn, about=each.label)
            for each in resources
            for message in found.look(each, config)
        ]
    return list(found.look(Stack(resources), config))


def obj(api: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Given:  # noqa: ANN401 - fields of any object
    """Return a Kubernetes object. labels, annotations: its own."""
    metadata: dict[str, Any] = {
        "name": name,
        "labels": rest.pop("labels", {}),
        "annotations": rest.pop("annotations", {}),
    }
    if namespace:
        metadata["namespace"] = namespace
    where = api if "/" in api else f"core/{api}"
    return f"kubernetes:{where}:{kind}", {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def release(chart: str, values: dict[str, Any]) -> Given:
    return "kubernetes:helm.sh/v3:Release", {
        "chart": chart,
        "name": chart,
        "namespace": "monitoring",
        "values": values,
    }
