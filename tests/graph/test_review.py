"""`vp review` on a branch that changes one model's replicas: each side really rendered by its own code."""

import re
from pathlib import Path

import pytest

from ops.other_side import git
from ops.review import command
from tests.clones import commit, make_clone, replace

pytestmark = pytest.mark.graph


def test_a_change_of_one_model_s_replicas_is_shown_with_its_cost_and_its_fit_and_nothing_else(
    root: Path, tmp_path: Path
) -> None:
    clone = make_clone(root, tmp_path / "clone")
    # Room for one more, and for one that comes while an old one goes; without it the settings are refused.
    pool = "name: a10-spot\n      instance_type: g5.2xlarge\n      min: 0\n      max: "
    replace(clone / "Pulumi.local.yaml", f"{pool}2", f"{pool}3")
    commit(clone)
    replace(clone / "Pulumi.local.yaml", "{kind: fixed, replicas: 1}", "{kind: fixed, replicas: 2}")
    commit(clone)
    text, refused = command.review(clone, "HEAD~1", "HEAD")
    assert not refused
    assert re.findall(r"^### (.*)$", text, flags=re.MULTILINE) == ["local"]
    changed = [line for line in text.splitlines() if re.match(r"[+-](?![+-])", line)]
    names = re.findall(r"^\+\+\+ after/(\S+)$", text, flags=re.MULTILINE)
    assert [name for name in names if "qwen3-embedding" not in name and name != "outputs.json"] == []
    assert any("Replicas: 2" in line for line in changed)
    assert "| nodes: a10-spot, g5.2xlarge | 884.76 | 1,769.52 | +884.76 |" in text
    assert "model qwen3-embedding | 1 to 1 replicas" in text
    assert "| model qwen-7b-vllm" not in text
    assert git(clone, "worktree", "list").count("\n") == 1
