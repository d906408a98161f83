"""A change of a stack file changes the lines that are meant, and nothing else."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ops.stack_edit import EditError, Step, read_exactly, remove, set_value, write_whole
from settings import stack_yaml

pytestmark = pytest.mark.unit

MODEL: Sequence[Step] = ("config", "models", ("name", "a"))


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def model_names(text: str) -> list[str]:
    document = cast("dict[str, Any]", stack_yaml.load(text))
    return [model["name"] for model in document["config"]["vllm-platform:models"]]


def test_in_every_committed_stack_only_the_meant_lines_differ(root: Path, each_stack: str) -> None:
    original = read_exactly(root / f"Pulumi.{each_stack}.yaml")
    for name in model_names(original):
        model: Sequence[Step] = ("config", "vllm-platform:models", ("name", name))
        text = set_value(original, [*model, "image", "tag"], "v9.9")
        assert changed_lines(original, text) == ["-        tag: v1.0", "+        tag: v9.9"]
        release = {"image": {"repository": "llm/new", "tag": "v2.0"}, "revision": "a" * 40}
        added = set_value(original, [*model, "made_up"], {"release": release, "step": 0})
        assert [line for line in changed_lines(original, added) if line.startswith("-")] == []
        assert changed_lines(original, added)[-1] == "+        step: 0"
        stepped = set_value(added, [*model, "made_up", "step"], 1)
        assert changed_lines(added, stepped) == ["-        step: 0", "+        step: 1"]
        assert remove(stepped, [*model, "made_up"]) == original


def test_a_key_is_added_to_a_mapping_in_one_line() -> None:
    text = "config:\n  models:\n    - name: a\n      rollout: {kind: canary, steps: [5, 100]} # why\n"
    added = set_value(text, [*MODEL, "rollout", "candidate"], {"release": {"revision": "r"}, "step": 0})
    assert "{kind: canary, steps: [5, 100], candidate: {release: {revision: r}, step: 0}} # why" in added
    assert remove(added, [*MODEL, "rollout", "candidate"]) == text


def test_a_key_in_front_or_in_the_middle_of_a_line_goes_with_its_comma() -> None:
    text = "config:\n  models: [{name: a, x: 1, y: 2}]\n"
    assert remove(text, [*MODEL, "x"]) == "config:\n  models: [{name: a, y: 2}]\n"
    assert remove(text, [*MODEL, "name"]) == "config:\n  models: [{x: 1, y: 2}]\n"


def test_a_comment_behind_a_removed_block_stays() -> None:
    text = (
        "config:\n  models:\n    - name: a\n      candidate:\n        # of the release\n        step: 0 # now\n"
        "    # What b is for.\n    - name: b\n"
    )
    assert remove(text, [*MODEL, "candidate"]) == (
        "config:\n  models:\n    - name: a\n    # What b is for.\n    - name: b\n"
    )


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("tag: v1 # why", "v2", "tag: v2 # why"),
        ('tag: "v1"', "v2", 'tag: "v2"'),
        ("tag: 'v1'", "v2", "tag: 'v2'"),
        # What a plain scalar would say is a number, or no text at all.
        ("tag: v1", "1.0", 'tag: "1.0"'),
        ("tag: v1", "1e5", 'tag: "1e5"'),
        ("tag: v1", "true", 'tag: "true"'),
        ("tag: v1", "sha256:ab", 'tag: "sha256:ab"'),
        ("tag: 1", 2, "tag: 2"),
        ("tag: [1, 2] # why", [3], "tag: [3] # why"),
        ("tag:\n        - 1\n        - 2", [3], "tag: [3]"),
        ("tag: {x: 1, y: two, z: 0}", {"x": 1, "y": "three", "w": True}, "tag: {x: 1, y: three, w: true}"),
    ],
)
def test_a_value_is_replaced_in_its_own_form(before: str, value: object, after: str) -> None:
    text = f"config:\n  models:\n    - name: a\n      {before}\n      last: 1\n"
    found = set_value(text, [*MODEL, "tag"], value)
    # A list of several lines is written behind the other keys.
    assert sorted(found.splitlines()) == sorted(text.replace(before, after).splitlines())


def test_ends_of_lines_and_a_missing_last_one_are_kept() -> None:
    text = "config:\r\n  models:\r\n    - name: a\r\n      x: 1"
    assert set_value(text, [*MODEL, "x"], 2) == text.replace("x: 1", "x: 2")
    assert set_value(text, [*MODEL, "y"], 2) == f"{text}\r\n      y: 2\r\n"


@pytest.mark.parametrize(
    "text",
    [
        # What is changed through an alias is changed in both places.
        "config:\n  shared: &s {x: 1}\n  models:\n    - name: a\n      image: *s\n",
        "config:\n  models:\n    - name: a\n      image: {y: 1, # a comment at the end\n        }\n",
        "config:\n  models:\n    - name: a\n      image: some text\n",
        "config:\n  models:\n    - name: b\n",
    ],
)
def test_what_can_not_be_changed_alone_is_refused(text: str) -> None:
    with pytest.raises(EditError, match="by hand"):
        set_value(text, [*MODEL, "image", "x"], 2)


def test_what_is_not_there_is_removed_already() -> None:
    text = "config:\n  models:\n    - name: a\n"
    assert remove(text, [*MODEL, "candidate"]) == text


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_bytes(b"a: 1\r\n")
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    write_whole(link, "a: 2\r\n")
    assert path.read_bytes() == b"a: 2\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()

    def no_room(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "a: 3\n")
    assert path.read_bytes() == b"a: 2\r\n"
    assert sorted(tmp_path.iterdir()) == [path, link]
