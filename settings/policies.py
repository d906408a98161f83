"""What a stack says to the policy pack. Which rules there are the pack knows, and it refuses a name that none of them has."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section

Level = Literal["mandatory", "advisory", "remediate", "disabled"]
Word = Annotated[str, Field(min_length=1)]


class RuleLevel(Section):
    """What happens where the rule does not hold; else what is usual in the stack's environment."""

    rule: Word
    level: Level


class Exemption(Section):
    """One resource that a rule leaves alone, by its name, and why."""

    rule: Word
    resource: Word
    reason: Annotated[str, Field(min_length=10)]


class Policies(Section):
    """registries: hosts, or hosts with the beginning of a path, that images may come from. licences: of weights.

    Empty: any registry, and the licences that the pack lists.
    """

    levels: tuple[RuleLevel, ...] = ()
    exempt: tuple[Exemption, ...] = ()
    registries: tuple[Word, ...] = ()
    licences: tuple[Word, ...] = ()
