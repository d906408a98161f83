"""Every command that README and docs show does what they say, in a checkout of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shown_commands import (
    NOT_RUN,
    OTHER_LANGUAGES,
    RUN,
    Block,
    all_blocks,
    blocks_to_run,
    comparable,
)
from tests.rehearsal.conftest import Checkout, make_checkout, remove_clusters

# A first `make up` with warm tools takes half a minute; several documents start two clusters.
BLOCK_SECONDS = 600
# The width at which outputs were quoted.
COLUMNS = 150
LIGHT = blocks_to_run(light=True)
HEAVY = sorted({block.document for block in blocks_to_run(light=False)})


def run(block: Block, checkout: Checkout, cache: Path) -> str:
    """Run a block as one script, as somebody would who copies it, and return what it printed."""
    environment = dict(os.environ) | {
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
        "COLUMNS": str(COLUMNS),
    }
    if any(command.startswith("vp tools clean") for command in block.commands):
        # What it removes must not be the developer's.
        environment["VP_CACHE"] = str(cache)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(block.commands)],  # noqa: S607 - bash of PATH, as in a terminal
        cwd=checkout.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block} ended with status {done.returncode}:\n{done.stdout}"
    return done.stdout


def check_output(block: Block, printed: str) -> None:
    """Every line that a block quotes is printed; numbers may differ."""
    there = {comparable(line) for line in printed.splitlines()}
    missing = [line for line in block.printed if comparable(line) not in there]
    assert not missing, f"{block} quotes what is not printed: {missing}\nprinted was:\n{printed}"


@pytest.fixture
def shown_checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = make_checkout(tmp_path / "checkout")
    try:
        yield made
    finally:
        remove_clusters(made)


@pytest.mark.unit
def test_there_are_commands_to_run() -> None:
    assert LIGHT
    assert "README.md" in HEAVY


@pytest.mark.unit
def test_every_block_is_run_or_is_no_command() -> None:
    strange = [
        f"{block} ({block.language})"
        for block in all_blocks()
        if block.language not in RUN | OTHER_LANGUAGES.keys()
    ]
    assert not strange, f"write sh or console, or say in OTHER_LANGUAGES what it is: {strange}"


@pytest.mark.unit
def test_what_is_not_run_is_in_no_block() -> None:
    shown = [command for block in all_blocks() if block.language in RUN for command in block.commands]
    assert not [command for command in shown if command.startswith(tuple(NOT_RUN))]


@pytest.mark.unit
@pytest.mark.parametrize("block", LIGHT, ids=str)
def test_commands_that_need_no_cluster(block: Block, shown_checkout: Checkout, tmp_path: Path) -> None:
    check_output(block, run(block, shown_checkout, tmp_path / "cache"))


@pytest.mark.rehearsal
@pytest.mark.parametrize("document", HEAVY)
def test_commands_of_a_document_from_top_to_bottom(
    document: str, shown_checkout: Checkout, tmp_path: Path
) -> None:
    for block in blocks_to_run(light=False):
        if block.document == document:
            check_output(block, run(block, shown_checkout, tmp_path / "cache"))
