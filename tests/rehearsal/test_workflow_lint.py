"""actionlint over the workflows, and over one that is wrong."""

import subprocess
from pathlib import Path

import pytest

from rehearsal.toolchain import find_tools

pytestmark = pytest.mark.rehearsal


def lint(*files: Path) -> subprocess.CompletedProcess[str]:
    # Its other linters are taken only where they happen to be installed.
    command = [
        str(find_tools(("actionlint",)).bin("actionlint")),
        "-no-color",
        "-shellcheck=",
        "-pyflakes=",
        *map(str, files),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_workflows_have_no_finding(root: Path) -> None:
    done = lint(*sorted((root / ".github" / "workflows").glob("*.yml")))
    assert (done.returncode, done.stdout) == (0, "")


def test_a_workflow_with_a_wrong_expression_has_one(root: Path, tmp_path: Path) -> None:
    text = (root / ".github" / "workflows" / "preview.yml").read_text(encoding="utf-8")
    broken = tmp_path / "preview.yml"
    broken.write_text(text.replace("steps.touched.outputs", "steps.tuched.outputs"), encoding="utf-8")
    done = lint(broken)
    assert done.returncode == 1
    assert '"tuched" is not defined' in done.stdout
