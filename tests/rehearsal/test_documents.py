"""Every command that README and docs show, and that needs a cluster, works: from the top of a document to its bottom."""

import subprocess
from pathlib import Path

import pytest

from tests.docs.shown_commands import blocks_to_run, check_output, run
from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal

DOCUMENTS = sorted({block.document for block in blocks_to_run(light=False)})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_a_document_from_top_to_bottom(document: str, checkout: Checkout, tmp_path: Path) -> None:
    # Else `make up` would install this checkout of links into the environment that it links to.
    current = subprocess.run(["make", "--question", ".venv/.run"], cwd=checkout.root, check=False)  # noqa: S607
    assert current.returncode == 0, "the environment is older than its locks: run `make lint` first"
    for block in blocks_to_run(light=False):
        if block.document == document:
            check_output(block, run(block, checkout.root, tmp_path / "cache"))
