"""The commands that README and docs show: those that need no cluster are run here, the others by the rehearsal tests."""

from pathlib import Path

import pytest

from tests.docs.shown_commands import (
    NOT_RUN,
    OTHER_LANGUAGES,
    ROOT,
    RUN,
    Block,
    all_blocks,
    blocks_to_run,
    check_output,
    run,
)

LIGHT = blocks_to_run(light=True)

pytestmark = pytest.mark.unit


def test_there_are_commands_to_run() -> None:
    assert LIGHT
    assert "README.md" in {block.document for block in blocks_to_run(light=False)}


def test_every_block_is_run_or_is_no_command() -> None:
    strange = [
        f"{block} ({block.language})"
        for block in all_blocks()
        if block.language not in RUN | OTHER_LANGUAGES.keys()
    ]
    assert not strange, f"write sh or console, or say in OTHER_LANGUAGES what it is: {strange}"


def test_what_is_not_run_is_in_no_block() -> None:
    shown = [command for block in all_blocks() if block.language in RUN for command in block.commands]
    assert not [command for command in shown if command.startswith(tuple(NOT_RUN))]


@pytest.mark.parametrize("block", LIGHT, ids=str)
def test_commands_that_need_no_cluster(block: Block, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".rehearsal"}:
            (folder / entry.name).symlink_to(entry)
    check_output(block, run(block, folder, tmp_path / "cache"))
