"""All rules, in the order in which they are listed and run."""

from typing import Final

from . import (
    aws,
    cost,
    data,
    doors,
    gateway,
    gpu,
    images,
    mesh,
    models,
    observability,
    rights,
    secrets,
    serving,
)
from .model import ResourceRule, Rule, StackRule

RULES: Final[tuple[ResourceRule | StackRule, ...]] = (
    *gpu.RULES,
    *images.RULES,
    *models.RULES,
    *serving.RULES,
    *mesh.RULES,
    *gateway.RULES,
    *secrets.RULES,
    *observability.RULES,
    *aws.RULES,
    *doors.RULES,
    *rights.RULES,
    *data.RULES,
    *cost.RULES,
)


def rule_named(name: str) -> Rule:
    """Return a rule. Raises KeyError."""
    return {rule.name: rule for rule in RULES}[name]
