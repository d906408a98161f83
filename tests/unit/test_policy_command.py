"""`vp policy`: what it prints, how it ends, what it says of the stack's own words."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import policy as command
from ops.policy import PolicyError, as_json, judge, policy, policy_config
from ops.program_graph import ProgramError, ProgramGraph
from ops.recorder import UNKNOWN
from policies.rules.catalogue import RULES
from policies.rules.model import Config
from tests.policies.cases import Given
from tests.policies.kubernetes import CHAT, TOOL

pytestmark = pytest.mark.unit


def _graph(given: dict[str, Given]) -> ProgramGraph:
    nodes = [
        {"urn": f"urn:{name}", "name": name, "type": type_, "inputs": json.loads(json.dumps(props))}
        for name, (type_, props) in given.items()
    ]
    return ProgramGraph(resources=tuple(nodes), outputs={}, warnings=())


def _without_probe() -> ProgramGraph:
    graph = _graph({**CHAT, **TOOL})
    engine: Any = graph.resources[0]["inputs"]["spec"]["predictor"]["containers"][0]
    del engine["startupProbe"]
    return graph


def _always(_stack: str, _root: Path) -> ProgramGraph:
    return _without_probe()


def _project(tmp_path: Path, **policies: object) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: vllm-platform\n", encoding="utf-8")
    config = {"vllm-platform:environment": "prod", "vllm-platform:policies": policies}
    (tmp_path / "Pulumi.made.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return tmp_path


def _only(*names: str) -> list[Any]:
    return [rule for rule in RULES if rule.name in names]


def test_what_does_not_hold_is_found_with_its_resource() -> None:
    outcome = judge(_without_probe(), Config(), _only("models-are-probed", "pods-run-as-non-root"))
    (found,) = outcome.violations
    assert (found.rule, found.level, found.urn) == ("models-are-probed", "mandatory", "urn:chat")
    assert outcome.refused
    assert (outcome.rules, outcome.resources) == (2, 2)


def test_what_the_render_does_not_know_is_left_open() -> None:
    graph = _without_probe()
    graph.resources[0]["inputs"]["spec"]["predictor"]["containers"] = UNKNOWN
    assert judge(graph, Config(), _only("models-are-probed")).violations == ()


@pytest.mark.parametrize(
    ("level", "refused", "found"), [("advisory", False, 1), ("disabled", False, 0), ("mandatory", True, 1)]
)
def test_a_level_decides_whether_it_is_refused(level: Any, refused: bool, found: int) -> None:  # noqa: ANN401, FBT001 - a level of many
    outcome = judge(_without_probe(), Config(levels={"models-are-probed": level}), _only("models-are-probed"))
    assert (outcome.refused, len(outcome.violations)) == (refused, found)
    assert outcome.disabled == (("models-are-probed",) if level == "disabled" else ())


def test_the_command_ends_with_an_error_where_a_rule_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "program_graph", _always)
    assert policy("made", _project(tmp_path)) == 1
    printed = capsys.readouterr().out
    assert "models-are-probed" in printed
    assert f"stack made: {len(RULES)} rules over 2 resources: " in printed


def test_an_exemption_is_shown_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "program_graph", _always)
    reason = "Its start is watched by something else."
    exempt = {"rule": "models-are-probed", "resource": "chat", "reason": reason}
    policy("made", _project(tmp_path, exempt=[exempt]), "json")
    report = json.loads(capsys.readouterr().out)
    assert report["exempt"] == [exempt]
    assert "models-are-probed" not in {each["rule"] for each in report["violations"]}
    policy("made", tmp_path)
    assert f"exempt: chat from models-are-probed: {reason}" in capsys.readouterr().out


def test_as_json_every_violation_has_rule_level_message_and_resource() -> None:
    report = as_json(judge(_without_probe(), Config(), _only("models-are-probed")))
    (found,) = report["violations"]
    assert set(found) == {"rule", "level", "message", "urn"}
    assert report["refused"] is True


def test_a_mistake_in_the_section_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no rule"):
        policy_config("made", _project(tmp_path, levels=[{"rule": "any", "level": "advisory"}]))


def test_a_stack_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="the stacks there are: made"):
        policy("other", _project(tmp_path))
