"""Rules of Prometheus as data, and the names and labels that they have in common. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from components.model_monitor import VERSION_LABEL
from components.model_names import MODEL_LABEL, TRACK_LABEL

Severity = Literal["critical", "warning"]
Rule = dict[str, Any]

RUNBOOKS: Final = "docs/runbooks"
"""Where the runbooks are, if nothing says where they are published."""


def series_label(label: str) -> str:
    """Name that a label of a pod has in Prometheus."""
    return label.translate(str.maketrans("./-", "___"))


MODEL: Final = series_label(MODEL_LABEL)
"""Label of the series of a model, of whatever version."""
TRACK: Final = series_label(TRACK_LABEL)
VERSION: Final = series_label(VERSION_LABEL)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert. `expression`: has a series for each thing that is wrong. wait: for how long it must be so, at least.

    summary, description: templates of Prometheus. labels: besides `severity`.
    """

    name: str
    severity: Severity
    expression: str
    wait: str
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict[str, str])

    def rule(self) -> Rule:
        """Return it as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {"summary": self.summary, "description": self.description},
        }


def with_runbook(rule: Rule, base: str) -> Rule:
    """Return a rule with the address of its runbook, which is named as the alert is; what is recorded has none."""
    if "alert" not in rule:
        return rule
    return {**rule, "annotations": {**rule["annotations"], "runbook_url": f"{base}/{rule['alert']}.md"}}


def record(name: str, expression: str, **labels: str) -> Rule:
    """Return a recording rule."""
    return {"record": name, "expr": expression} | ({"labels": labels} if labels else {})


def of_model(namespace: str, model: str, *more: str) -> str:
    """Selector of the series of a model's pods. `more`: further matchers."""
    return "{" + ",".join((f'namespace="{namespace}"', f'{MODEL}="{model}"', *more)) + "}"


def group(name: str, rules: list[Rule]) -> dict[str, Any]:
    """Return rules that are evaluated in this order, one after another."""
    return {"name": name, "rules": rules}
