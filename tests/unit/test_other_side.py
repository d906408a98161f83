"""Another commit beside the working tree: worked out by its own code, and gone on every end."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ops.cost.command import cost
from ops.other_side import git, other_side
from rehearsal.errors import UserError
from tests.clones import IDENTITY, commit, make_clone, replace

pytestmark = pytest.mark.unit


@pytest.fixture
def clone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own, with this project's code in one commit; temporary folders lie beside it."""
    place = make_clone(root, tmp_path / "clone")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return place


def left(place: Path) -> list[str]:
    """What is left of other sides: worktrees that git knows, temporary folders."""
    trees = git(place, "worktree", "list", "--porcelain").splitlines()
    others = [line for line in trees if line.startswith("worktree ") and line != f"worktree {place}"]
    return [*others, *(path.name for path in (place.parent / "temporary").iterdir())]


@pytest.fixture
def nothing_left(clone: Path) -> Iterator[None]:
    yield
    assert left(clone) == []


@pytest.mark.usefixtures("nothing_left")
def test_each_side_is_priced_by_its_own_code_and_settings(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # On the other side a month has 100 hours, CPU nodes cost 1 an hour, and there is one of them more.
    replace(clone / "settings" / "cost_lines.py", "HOURS: Final = 730", "HOURS: Final = 100")
    replace(clone / "settings" / "data" / "prices.yaml", "c6i.2xlarge: 0.34", "c6i.2xlarge: 1.0")
    replace(clone / "Pulumi.dev.yaml", "      min: 2\n      max: 2", "      min: 3\n      max: 3")
    commit(clone)
    git(clone, "checkout", "--quiet", "HEAD~1", "--", ".")
    assert cost("dev", clone, "json", "HEAD", console=Console(file=sys.stdout, width=200)) == 0
    found = json.loads(capsys.readouterr().out)
    nodes = next(one for one in found["difference"]["lines"] if one["name"] == "nodes: system, c6i.2xlarge")
    assert nodes["before"]["expected"] == pytest.approx(3 * 1.0 * 100)
    assert nodes["after"]["expected"] == pytest.approx(2 * 0.34 * 730)


@pytest.mark.usefixtures("nothing_left")
def test_a_side_without_the_stack_or_the_command_says_so(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(ref: str) -> str:
        cost("dev", clone, "text", ref, console=Console(file=sys.stdout, width=200))
        return capsys.readouterr().out

    shutil.rmtree(clone / "ops" / "cost")
    commit(clone)
    assert "the code of HEAD has no `vp cost`" in said("HEAD")
    git(clone, "rm", "--quiet", "Pulumi.dev.yaml")
    git(clone, *IDENTITY, "commit", "--quiet", "--message", "no dev")
    git(clone, "checkout", "--quiet", "HEAD~1", "--", "Pulumi.dev.yaml")
    assert "HEAD has no stack dev" in said("HEAD")


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("ending", [KeyboardInterrupt, UserError, OSError])
def test_nothing_is_left_however_it_ends(clone: Path, ending: type[BaseException]) -> None:
    def use() -> None:
        with other_side(clone, "HEAD") as side:
            assert (side.root / "Pulumi.dev.yaml").is_file()
            raise ending("stop")

    with pytest.raises(ending):
        use()


@pytest.mark.usefixtures("nothing_left")
def test_what_runs_there_is_gone_too_after_sigterm(clone: Path, root: Path) -> None:
    program = (
        "import tempfile, sys; from pathlib import Path; from ops.other_side import other_side\n"
        f"tempfile.tempdir = {str(clone.parent / 'temporary')!r}\n"
        f"with other_side(Path({str(clone)!r}), 'HEAD') as side:\n"
        "    print('there', flush=True); side.python('-c', 'import time; time.sleep(600)')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    started = psutil.Process(child.pid)
    deadline = time.monotonic() + 30
    while not (inner := started.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) != 0
    child.stdout.close()
    assert inner
    assert not any(process.is_running() for process in inner)


def test_a_name_that_git_does_not_know_is_said_in_words(clone: Path) -> None:
    with (
        pytest.raises(UserError, match=r"git knows no commit '--upload-pack=x' here"),
        other_side(clone, "--upload-pack=x"),
    ):
        pass


@pytest.mark.usefixtures("nothing_left")
def test_credentials_of_this_shell_do_not_reach_the_other_side(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PULUMI_ACCESS_TOKEN", "VAULT_TOKEN"):
        monkeypatch.setenv(name, "secret")
    with other_side(clone, "HEAD") as side:
        seen = side.python("-c", "import os; print([n for n in os.environ if os.environ[n] == 'secret'])")
    assert seen.stdout == "[]\n"
