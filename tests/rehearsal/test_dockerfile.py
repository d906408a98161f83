"""The image's Dockerfile, by BuildKit's own parser and linter: what `docker build` would say of it."""

import subprocess
from pathlib import Path

import pytest

from tests.rehearsal.conftest import REPOSITORY, tools

pytestmark = pytest.mark.rehearsal

DOCKERFILE = REPOSITORY / "docker" / "vllm" / "Dockerfile"


def _lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(tools().bin("dockerfile-lint")), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_buildkit_finds_nothing_to_say() -> None:
    done = _lint(DOCKERFILE)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ENTRYPOINT vllm serve", "JSONArgsRecommended"),
        ("ENV HUB_TOKEN=abc", "SecretsUsedInArgOrEnv"),
        ("COPPY x y", "COPPY"),
        ("FROM weights as Other", "FromAsCasing"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, line: str, said: str) -> None:
    """Else the test above would guard nothing."""
    broken = tmp_path / "Dockerfile"
    broken.write_text(f"{DOCKERFILE.read_text()}\n{line}\n")
    done = _lint(broken)
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
