"""The rules of the policy pack, as they are."""

from itertools import groupby

from docs.generator.tables import listed, table
from policies.rules.catalogue import RULES
from policies.rules.model import ENVIRONMENTS, ResourceRule, Rule


def policies_table() -> str:
    """Return a table of the rules of each area."""
    parts: list[str] = []
    for area, rules in groupby(sorted(RULES, key=_place), key=lambda rule: rule.area):
        rows = [(f"`{rule.name}`", rule.says, rule.fix, _about(rule), _level(rule)) for rule in rules]
        parts.append(
            f"### {area[0].upper()}{area[1:]}\n\n" + table(("rule", "says", "fix", "about", "level"), rows)
        )
    return "\n\n".join(parts)


def _place(rule: Rule) -> int:
    """Return where a rule's area begins: rules of one area may stand in several files."""
    return [each.area for each in RULES].index(rule.area)


def _about(rule: Rule) -> str:
    return "a resource" if isinstance(rule, ResourceRule) else "the stack"


def _level(rule: Rule) -> str:
    """Say what happens, and where it is something else than in prod; and whether it can put things right."""
    usual = rule.levels.get("prod", "mandatory")
    others = [
        f"{rule.levels[name]} in {name}" for name in ENVIRONMENTS if rule.levels.get(name, usual) != usual
    ]
    mends = [f"can be {listed(['remediate'])}"] if isinstance(rule, ResourceRule) and rule.remedy else []
    return "; ".join([usual, *others, *mends])
