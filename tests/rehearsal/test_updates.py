"""What `pulumi up` and `preview` do to a stack that is there."""

import copy
from typing import Any, cast

import pytest

from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal


def test_a_second_up_changes_nothing(local: Checkout) -> None:
    last = next(line for line in local.vp("rehearse", "local").splitlines() if line.startswith("pulumi up:"))
    assert "same" in last
    assert not [word for word in ("create", "update", "delete", "replace") if word in last]


def test_the_state_has_no_file_that_a_killed_run_could_leave_half_written(local: Checkout) -> None:
    """Pulumi writes the state beside and moves it, and files of attributes in place."""
    files = [path for path in local.layout("local").pulumi_state.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if path.suffix == ".attrs"] == []


def test_changing_memory_shows_exactly_that_in_the_preview(local: Checkout) -> None:
    original = cast("list[dict[str, Any]]", local.section("local", "models"))
    changed = copy.deepcopy(original)
    (model,) = [m for m in changed if m["name"] == "qwen-7b-vllm"]
    model["resources"]["limits"]["memory"] = "28Gi"
    config = local.layout("local").root / "project" / "Pulumi.local.yaml"
    before = config.read_text()
    local.change("local", "models", changed)
    try:
        config.write_text(
            (local.root / "Pulumi.local.yaml")
            .read_text()
            .replace("config:", f"{before.splitlines()[0]}\nconfig:", 1)
        )
        shown = local.pulumi("local", "preview", "--diff", "--color", "never")
    finally:
        local.change("local", "models", original)
        config.write_text(before)
    edits = [line.strip() for line in shown.splitlines() if "=>" in line]
    # Besides, the name of the revision, and what waits for it.
    assert [edit for edit in edits if "template" not in edit] == ['~ memory: "32Gi" => "28Gi"']
    assert "~ 2 to update" in shown


def test_the_outputs_name_every_model(local: Checkout) -> None:
    shown = local.pulumi("local", "stack", "output", "models")
    for model in local.settings("local").enabled_models:
        assert f'"{model.name}"' in shown
