"""`vp policy`: the rules of the policy pack over what a stack would deploy; no engine, no cloud, no cluster.

Pulumi can not run a pack over a render. The rules are the same functions; what only a deployment can tell they leave open.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.preflight_text import output_console
from ops.program_graph import ProgramGraph, program_graph, stack_config
from policies.rules.catalogue import RULES
from policies.rules.config import ConfigError, config_of
from policies.rules.model import STACK_TYPE, Config, Resource, ResourceRule, Stack, StackRule
from policies.rules.values import rendered
from rehearsal.errors import UserError

Output = Literal["text", "json"]
STYLES: Final = {"mandatory": "red", "advisory": "yellow"}
COLUMNS: Final = ("level", "rule", "message")


class PolicyError(UserError):
    """The stack's section `policies` can not be used. The text is for people."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """What is wrong, and where. level: mandatory or advisory; what could be put right is mandatory here."""

    rule: str
    level: str
    message: str
    urn: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the rules said. disabled: rules that were not asked. exempt: what the stack says of single resources."""

    violations: tuple[Violation, ...]
    rules: int
    resources: int
    disabled: tuple[str, ...]
    exempt: tuple[tuple[str, str, str], ...]

    @property
    def refused(self) -> bool:
        """Whether `pulumi preview` or `pulumi up` with the pack would fail."""
        return any(each.level == "mandatory" for each in self.violations)


def policy(stack: str, root: Path, output: Output = "text") -> int:
    """Run the rules over a stack and print what they say. Return 1 where one that is mandatory does not hold, else 0.

    Raises ProgramError and PolicyError.
    """
    config = policy_config(stack, root)
    outcome = judge(program_graph(stack, root), config)
    console = output_console()
    if output == "json":
        _line(console, json.dumps(as_json(outcome), indent=2))
    else:
        show(outcome, stack, console)
    return 1 if outcome.refused else 0


def policy_config(stack: str, root: Path) -> Config:
    """Return what a stack's file says to the pack. Raises PolicyError."""
    try:
        texts, _ = stack_config(stack, root)
        return config_of(texts, RULES)
    except ConfigError as error:
        raise PolicyError(str(error)) from None
    except FileNotFoundError:
        return Config()  # the program's own message names the stacks that there are


def judge(graph: ProgramGraph, config: Config, rules: Sequence[ResourceRule | StackRule] = RULES) -> Outcome:
    """Run the rules over what a program asked for."""
    stack = Stack(_resources(graph), outputs=_outputs(graph))
    found: list[Violation] = []
    for rule in rules:
        level = rule.level(config)
        if level != "disabled":
            found += _violations(rule, "mandatory" if level == "remediate" else level, stack, config)
    return Outcome(
        violations=tuple(found),
        rules=len(rules),
        resources=len(stack.resources),
        disabled=tuple(rule.name for rule in rules if rule.level(config) == "disabled"),
        exempt=tuple((rule, resource, reason) for (rule, resource), reason in config.exempt.items()),
    )


def _violations(
    rule: ResourceRule | StackRule, level: str, stack: Stack, config: Config
) -> Iterator[Violation]:
    if isinstance(rule, ResourceRule):
        for resource in stack.resources:
            for message in rule.look(resource, config):
                yield Violation(rule=rule.name, level=level, message=message, urn=resource.urn)
        return
    for found in rule.look(stack, config):
        yield Violation(rule=rule.name, level=level, message=found.message, urn=found.urn)


def _resources(graph: ProgramGraph) -> Iterator[Resource]:
    for node in graph.resources:
        yield Resource(urn=node["urn"], type=node["type"], name=node["name"], props=rendered(node["inputs"]))


def _outputs(graph: ProgramGraph) -> dict[str, Any]:
    own = [node["urn"] for node in graph.resources if node["type"] == STACK_TYPE]
    return {key: rendered(value) for urn in own for key, value in graph.outputs.get(urn, {}).items()}


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values."""
    return {
        "refused": outcome.refused,
        "rules": outcome.rules,
        "resources": outcome.resources,
        "violations": [vars(each) for each in outcome.violations],
        "disabled": list(outcome.disabled),
        "exempt": [
            {"rule": rule, "resource": resource, "reason": reason}
            for rule, resource, reason in outcome.exempt
        ],
    }


def show(outcome: Outcome, stack: str, console: Console) -> None:
    """Print a table of what does not hold, what is exempt, and one line that sums up."""
    if outcome.violations:
        table = Table(title=f"stack {stack}: what does not hold", title_justify="left", title_style="bold")
        for column in COLUMNS:
            table.add_column(column, overflow="fold", no_wrap=column != "message")
        for each in outcome.violations:
            table.add_row(Text(each.level, style=STYLES[each.level]), Text(each.rule), Text(each.message))
        console.print(table)
    for rule, resource, reason in outcome.exempt:
        _line(console, f"exempt: {resource} from {rule}: {reason}")
    if outcome.disabled:
        _line(console, f"not asked: {', '.join(outcome.disabled)}")
    counts = Counter(each.level for each in outcome.violations)
    words = ", ".join(f"{counts[level]} {level}" for level in STYLES if counts[level]) or "all hold"
    _line(console, f"stack {stack}: {outcome.rules} rules over {outcome.resources} resources: {words}")


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
