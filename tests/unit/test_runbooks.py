"""Who is woken by an alert finds what it means, and what to look at first."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.telemetry.model_rules import rules_of
from settings import load_stack_file

pytestmark = pytest.mark.unit

COMMANDS = 3


def alerts(root: Path) -> list[dict[str, Any]]:
    """Of prod, which has every kind of alert."""
    groups = [
        group for groups in rules_of(load_stack_file(root / "Pulumi.prod.yaml")).values() for group in groups
    ]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert(root: Path) -> None:
    books = {str(path.relative_to(root)) for path in (root / "docs" / "runbooks").glob("*.md")}
    assert {rule["annotations"]["runbook_url"] for rule in alerts(root)} == books


def test_a_runbook_says_what_the_alert_means_and_three_commands(root: Path) -> None:
    for name in {rule["alert"] for rule in alerts(root)}:
        text = (root / "docs" / "runbooks" / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n\n## What it means\n"), name
        (block,) = re.findall(r"^## First\n\n```sh\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
        commands = block.splitlines()
        assert len(commands) == COMMANDS, name
        assert all(command.split()[0] in {"kubectl", "vp"} for command in commands), name


def test_every_alert_says_how_bad_it_is_and_of_which_model(root: Path) -> None:
    shared = {"GpuTelemetryMissing", "CertificateEndsSoon", "RequestsNotCounted"}
    for rule in alerts(root):
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert ("model" in rule["labels"]) == (rule["alert"] not in shared), rule["alert"]


def test_of_a_model_that_is_stopped_there_is_no_alert(root: Path) -> None:
    settings = load_stack_file(root / "Pulumi.prod.yaml")
    first = settings.models[0]
    stopped = first.model_copy(update={"stopped": True})
    names = rules_of(settings.model_copy(update={"models": (stopped, *settings.models[1:])})).keys()
    assert rules_of(settings).keys() - names == {f"model-{first.name}"}
