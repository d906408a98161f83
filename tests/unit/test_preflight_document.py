"""What docs/preflight.md shows is what the command prints and asks for."""

import io
import json
import re
from typing import Final

import pytest
from rich.console import Console

from ops.preflight import preflight
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import CALLS
from ops.preflight_checks.table import CHECKS
from ops.preflight_text import LOG_WIDTH
from tests.conftest import ROOT
from tests.unit.preflight_stubs import REGION, Stubs, everything_is_there, quick_program

pytestmark = pytest.mark.unit

TEXT: Final = (ROOT / "docs" / "preflight.md").read_text(encoding="utf-8")
ELISION: Final = "…"


def block(language: str) -> str:
    (only,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return only


def test_the_output_that_is_shown_is_printed() -> None:
    stubs, file = Stubs(), io.StringIO()
    everything_is_there(stubs, version_denied=True, quotas={"L-DB2E81BA": 64})
    status = preflight(
        "prod",
        ROOT,
        "text",
        Console(file=file, width=LOG_WIDTH),
        Aws(REGION, stubs.client),
        program=quick_program,
    )
    command, *shown = (line for line in block("text").splitlines() if line != ELISION)
    assert (command, status) == ("$ vp preflight prod", 1)
    printed = [line.rstrip() for line in file.getvalue().splitlines()]
    assert [line for line in shown if line not in printed] == []


def test_the_policy_allows_what_is_asked_and_nothing_else() -> None:
    (statement,) = json.loads(block("json"))["Statement"]
    assert statement["Action"] == sorted(call.action for call in CALLS)


def test_every_check_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == list(CHECKS)
