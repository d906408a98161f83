"""The stack file in a rollout: what `--to` names, and which lines each move changes."""

from pathlib import Path

import pytest

from ops.rollout.stack_file import StackFile
from ops.rollout.target import release_change
from ops.stack_edit import read_exactly, set_value
from rehearsal.errors import UserError
from settings import Image, SettingsError, load_stack_file, stack_yaml
from tests.canary_stacks import MODEL, write_canary_stack
from tests.unit.test_stack_edit import changed_lines

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "ab" * 32
REVISION = "c54f2e6e80b2d7b7de06f51cec4959f6b3e03418"


@pytest.fixture
def file(tmp_path: Path) -> StackFile:
    write_canary_stack(tmp_path / "Pulumi.local.yaml")
    return StackFile(tmp_path, "local", MODEL)


@pytest.mark.parametrize(
    ("names", "change"),
    [
        (["v1.1"], {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.1"}}),
        (
            [f"v1.1@{DIGEST}"],
            {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.1", "digest": DIGEST}},
        ),
        (["llm/other:v2"], {"image": {"repository": "llm/other", "tag": "v2"}}),
        ([DIGEST], {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.0", "digest": DIGEST}}),
        ([REVISION], {"revision": REVISION}),
        (
            ["v1.1", REVISION],
            {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.1"}, "revision": REVISION},
        ),
        (["v1.0"], {}),
    ],
)
def test_what_a_name_leaves_out_is_the_stable_release_s(
    file: StackFile, names: list[str], change: dict[str, object]
) -> None:
    assert release_change(file.read().model, names) == change


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["v1.1", "v1.2"], "two of one kind"),
        (["llm/other"], "no tag in it"),
        (["llm/other:"], "no tag in it"),
        (["v1.1@sha256:abc"], "'sha256:abc' is no digest"),
    ],
)
def test_what_is_no_name_is_refused(file: StackFile, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        release_change(file.read().model, names)


def test_an_image_that_is_built_is_built_under_its_new_tag_too(file: StackFile) -> None:
    model = file.read().model
    built = model.model_copy(update={"image": Image(repository="llm/a", tag="v1", build=True)})
    assert release_change(built, ["v2"]) == {"image": {"repository": "llm/a", "tag": "v2", "build": True}}
    assert release_change(built, [f"v2@{DIGEST}"])["image"].get("build") is None


def test_each_move_changes_the_lines_that_are_meant(file: StackFile) -> None:
    block = "      rollout:\n        kind: canary # why\n        steps: [5, 50, 100]\n"
    text = file.text()
    (line,) = [line for line in text.splitlines(keepends=True) if "kind: canary" in line]
    file.path.write_text(text.replace(line, block))
    start = file.text()
    file.write(file.begun(release_change(file.read().model, [f"v1.1@{DIGEST}"]), 4))
    begun = file.text()
    assert changed_lines(start, begun) == [
        "+        candidate:",
        "+          release:",
        f'+            image: {{repository: llm/vllm-qwen-7b-awq, tag: v1.1, digest: "{DIGEST}"}}',
        "+          step: 0",
        "+          replicas: 4",
    ] or changed_lines(start, begun)[2:] == [
        "+            image:",
        "+              repository: llm/vllm-qwen-7b-awq",
        "+              tag: v1.1",
        f'+              digest: "{DIGEST}"',
        "+          step: 0",
        "+          replicas: 4",
    ]
    file.write(file.advanced(file.read()))
    stepped = file.text()
    assert changed_lines(begun, stepped) == ["-          step: 0", "+          step: 1"]
    file.write(file.advanced(file.read()))
    last = file.text()
    file.write(file.promoted(file.read()))
    assert file.read().phase == "promoted"
    assert changed_lines(last, file.text()) == [
        "-        tag: v1.0",
        "+        tag: v1.1",
        f'+        digest: "{DIGEST}"',
    ]
    file.write(file.finished())
    assert changed_lines(start, file.text()) == [
        "-        tag: v1.0",
        "+        tag: v1.1",
        f'+        digest: "{DIGEST}"',
    ]


def test_in_every_committed_stack_a_rollout_begins_and_ends_without_a_trace(
    root: Path, each_stack: str, tmp_path: Path
) -> None:
    """Of every model, whatever its rollout is now: with a canary written in, then the candidate."""
    for model in load_stack_file(root / f"Pulumi.{each_stack}.yaml").models:
        file = StackFile(tmp_path, each_stack, model.name)
        text = read_exactly(root / f"Pulumi.{each_stack}.yaml")
        at = ["config", "vllm-platform:models", ("name", model.name)]
        text = set_value(text, [*at, "rollout"], {"kind": "canary", "steps": [0, 100]})
        file.path.write_text(text)
        change = release_change(model, [f"llm/another-name:v9.9@{DIGEST}", "d" * 40])
        begun = file.begun(change, None)
        assert file.moves(text, begun)
        file.path.write_text(begun)
        assert file.finished() == text
        removed = [line for line in changed_lines(text, begun) if line.startswith("-")]
        assert all("rollout:" in line for line in removed)


def test_a_move_of_one_model_is_not_a_change_of_another(file: StackFile) -> None:
    text = file.text()
    begun = file.begun({"revision": REVISION}, None)
    assert file.moves(text, begun)
    assert file.moves(begun, text)
    assert not file.moves(text, begun.replace("max_num_seqs: 8", "max_num_seqs: 4"))
    # Without a candidate on either side it is somebody's change of the release.
    assert not file.moves(text, text.replace("tag: v1.0", "tag: v2.0", 1))
    assert not file.moves(text, "no: [yaml")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other", "has no model other. It has: qwen-7b-vllm"),
        ("qwen3-embedding", "has no canary: its rollout is of kind rolling"),
    ],
)
def test_a_model_that_can_not_be_rolled_out_so_is_told(file: StackFile, model: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        StackFile(file.path.parent, "local", model).read()


def test_a_model_that_is_off_is_told(file: StackFile) -> None:
    path = ["config", "vllm-platform:models", ("name", MODEL), "enabled"]
    file.path.write_text(set_value(file.text(), path, value=False))
    with pytest.raises(UserError, match="is off in stack local"):
        file.read()


def test_a_release_that_the_checks_refuse_is_told_with_its_path(file: StackFile) -> None:
    """Other weights in the same image: the same words as in a stack file."""
    with pytest.raises(
        SettingsError, match=r"rollout\.candidate\.release\.revision: the weights lie in the image"
    ):
        file.write(file.begun({"revision": REVISION}, None))
    assert stack_yaml.load(file.text())
