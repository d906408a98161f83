"""The cases of many rules in one stack: an engine that takes seconds for one resource says what it finds of all of them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from policies.rules.catalogue import RULES
from policies.rules.model import Config, Resource, ResourceRule, Stack
from tests.policies.cases import GONE, Case, put, urn
from tests.policies.catalogue import CASES

RESOURCE_RULES: Final = tuple(rule for rule in RULES if isinstance(rule, ResourceRule))
STACK_RULES: Final = tuple(rule for rule in RULES if not isinstance(rule, ResourceRule))
# Whoever makes something of AWS, and the model that runs its authors' code.
ALSO: Final = ("resources-have-an-owner", "remote-code-is-justified")
# Rule, name in the program, message.
Said = tuple[str, str, str]


def case_of(rule: str) -> Case:
    """Return the first case of a rule."""
    return next(each for each in CASES if each.rule == rule)


def each_broken() -> list[Resource]:
    """Return a stack in which every rule about one resource is broken, by resources named after it."""
    found = list(_kept(case_of("resources-have-an-owner")))
    for rule in RESOURCE_RULES:
        for each in next(case_of(rule.name).broken()):
            name = f"{rule.name}-{each.name}"
            found.append(replace(each, name=name, urn=urn(each.type, name)))
    return found


def together(broken: Iterable[str] = ()) -> list[Resource]:
    """Return one stack that keeps all rules but `broken`, which are about stacks."""
    names = [*(rule.name for rule in STACK_RULES), *ALSO]
    keeps = {name: given for rule in names for name, given in case_of(rule).keeps.items()}

    def change(inputs: dict[str, Any]) -> None:
        for case in map(case_of, broken):
            put(inputs, case.at, case.wrong[0] if case.wrong else GONE)

    return replace(case_of(STACK_RULES[0].name), keeps=keeps).stack(change)


def _kept(case: Case) -> Iterator[Resource]:
    yield from case.stack()


def about_resources(resources: Iterable[Resource], config: Config) -> list[Said]:
    """Return what all rules about one resource say of some."""
    return sorted(
        (rule.name, each.name, message)
        for each in resources
        for rule in RESOURCE_RULES
        for message in rule.look(each, config)
    )


def about_stack(resources: Iterable[Resource], config: Config) -> list[Said]:
    """Return what all rules about stacks say of one; the name is empty where they speak of it as a whole."""
    stack = Stack(resources)
    return sorted(
        (rule.name, found.urn.rpartition("::")[2], found.message)
        for rule in STACK_RULES
        for found in rule.look(stack, config)
    )
