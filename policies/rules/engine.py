"""The rules as Pulumi's engine runs them: each is a policy of its own.

Pulumi hands values over as proxies that raise where a value is not known yet, which would end a rule at the first such
value. Here they become plain values first, unknown ones marked, so that all else is still looked at.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, cast

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from .model import Config, Resource, ResourceRule, Rule, Stack, StackRule
from .values import UNKNOWN

_TARGET: Final = "__target"


def run(name: str, rules: Sequence[ResourceRule | StackRule], config: Config) -> None:
    """Serve the rules until Pulumi ends this process."""
    PolicyPack(name=name, policies=policies(rules, config), enforcement_level=EnforcementLevel.MANDATORY)


def policies(rules: Sequence[ResourceRule | StackRule], config: Config) -> list[Policy]:
    """Return the rules as policies, at the levels that a stack gives them."""
    return [
        _resource_policy(rule, config) if isinstance(rule, ResourceRule) else _stack_policy(rule, config)
        for rule in rules
    ]


def _resource_policy(rule: ResourceRule, config: Config) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for message in rule.look(_resource(args), _with_options(config, args.get_config())):
            report(message, args.urn)

    def remediate(args: ResourceValidationArgs) -> Any:  # noqa: ANN401 - inputs, or None to leave them
        inputs = _copy(args.props)
        seen = Resource(urn=args.urn, type=args.resource_type, name=args.name, props=_opened(inputs))
        if rule.remedy is None or not any(rule.look(seen, config)):
            return None
        # What a remedy does not understand it leaves; the rule itself then says so.
        with suppress(KeyError, TypeError, AttributeError):
            rule.remedy(inputs)
            return inputs
        return None

    return ResourceValidationPolicy(
        name=rule.name,
        description=rule.says,
        validate=validate,
        remediate=cast("Any", remediate) if rule.remedy else None,
        enforcement_level=_level(rule, config),
        config_schema=_schema(rule),
        tags=[rule.area],
        remediation_steps=rule.fix,
    )


def _stack_policy(rule: StackRule, config: Config) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(_resource(each) for each in args.resources)
        for found in rule.look(stack, _with_options(config, args.get_config())):
            report(found.message, found.urn or None)

    return StackValidationPolicy(
        name=rule.name,
        description=rule.says,
        validate=validate,
        enforcement_level=_level(rule, config),
        config_schema=_schema(rule),
        tags=[rule.area],
        remediation_steps=rule.fix,
    )


def _level(rule: Rule, config: Config) -> EnforcementLevel:
    return EnforcementLevel(rule.level(config))


def _schema(rule: Rule) -> PolicyConfigSchema | None:
    return (
        PolicyConfigSchema({key: dict(value) for key, value in rule.options.items()})
        if rule.options
        else None
    )


def _with_options(config: Config, options: Mapping[str, Any]) -> Config:
    """Return what a stack says, with what `--policy-pack-config` says about one rule in its place."""
    given = {key: tuple(value) for key, value in options.items() if key in {"registries", "licences"}}
    return replace(config, **given) if given else config


def _resource(args: Any) -> Resource:  # noqa: ANN401 - ResourceValidationArgs or PolicyResource: they have these in common
    return Resource(urn=args.urn, type=args.resource_type, name=args.name, props=Lazy(args.props))


class Lazy(Mapping[str, Any]):
    """Inputs that become plain when somebody looks: most rules are about few of a stack's resources."""

    def __init__(self, proxy: Mapping[str, Any]) -> None:
        self._proxy = proxy

    @cached_property
    def _values(self) -> dict[str, Any]:
        return plain(self._proxy)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - a JSON value
        return self._values[key]

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of keys
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value, behind Pulumi's proxies
    """Return a value without proxies, its unknown parts marked, its whole numbers as such."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {key: _known(mapping, key) for key in mapping}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = cast("Sequence[Any]", value)
        return [_known(items, index) for index in range(len(items))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known(holder: Any, key: Any) -> Any:  # noqa: ANN401 - as above
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def _opened(inputs: Any) -> Any:  # noqa: ANN401 - as above
    """Return inputs as `validate` gets them: for remedies Pulumi marks secrets, and does not mark what it does not know."""
    return plain(unknown_checking_proxy(_without_marks(inputs)))


def _without_marks(value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, Secret):
        return _without_marks(cast("Any", value).value)
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_without_marks(item) for item in cast("list[Any]", value)]
    return value


def _copy(value: Any) -> Any:  # noqa: ANN401 - as above
    """Return a copy to be changed. Unknown values and secrets stay as Pulumi wrote them, so that it knows them again."""
    with suppress(KeyError, TypeError, IndexError):
        value = value[_TARGET]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_copy(item) for item in cast("list[Any]", value)]
    return value
