"""The command line of a rollout: the plan, what it refuses, the lock, what it shows."""

import multiprocessing
from collections.abc import Callable
from io import StringIO
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ops.rollout import cli
from ops.rollout.judge import Check, Verdict
from ops.rollout.lock import _ask_to_stop, in_turn, only_one  # pyright: ignore[reportPrivateUsage] - its one danger is looked at alone
from ops.rollout.view import ConsoleView
from rehearsal.errors import UserError
from tests.canary_stacks import MODEL
from tests.unit.rollout_world import World, make_world

pytestmark = pytest.mark.unit

Vp = Callable[..., str]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(tmp_path / "checkout")
    monkeypatch.setattr(cli, "project_root", lambda: made.root)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("ops.rollout.cli.signal.signal", _ignored)
    return made


def _ignored(*_: object) -> None:
    """The test's own process keeps its handlers."""


@pytest.fixture
def vp() -> Vp:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_the_plan_says_what_steps_and_limits_and_changes_nothing(world: World, vp: Vp) -> None:
    before = world.path.read_text()
    shown = vp(MODEL, "--stack", "local", "--to", "v1.1", "--plan")
    assert "image: repository llm/vllm-qwen-7b-awq, tag v1.0" in shown
    assert "-> repository llm/vllm-qwen-7b-awq, tag v1.1" in shown
    assert "steps: 5 %, 50 %, 100 %; each for 600 s at least" in shown
    assert "50 requests, errors at most 1.00%" in shown
    assert world.path.read_text() == before


def test_a_plan_is_agreed_to_by_somebody(world: World, vp: Vp) -> None:
    with pytest.raises(UserError, match="add --yes"):
        vp(MODEL, "--stack", "local", "--to", "v1.1")
    assert world.candidate() is None


def test_another_release_than_the_one_under_way_is_refused(world: World, vp: Vp) -> None:
    world.driver(deploys=False).run({"revision": "c" * 40, "image": {"repository": "llm/x", "tag": "v2"}})
    with pytest.raises(UserError, match=r"step 1 of 3.*another release.*abort qwen-7b-vllm --stack local"):
        vp(MODEL, "--stack", "local", "--to", "v1.1", "--yes")
    # The stable one's name is another release's, too.
    with pytest.raises(UserError, match="another release"):
        vp(MODEL, "--stack", "local", "--to", "v1.0", "--yes")
    with pytest.raises(UserError, match="add --rehearsal"):
        vp(MODEL, "--stack", "local", "--to", "llm/x:v2", "--yes", "--no-up")


def test_without_a_prometheus_nothing_begins(world: World, vp: Vp) -> None:
    with pytest.raises(UserError, match="no Prometheus that the judge could ask"):
        vp(MODEL, "--stack", "local", "--to", "v1.1", "--yes", "--rehearsal")
    assert world.candidate() is None


def test_a_prometheus_that_does_not_answer_is_told_before_anything_begins(world: World, vp: Vp) -> None:
    with pytest.raises(UserError, match="can not ask Prometheus: nonsense does not answer"):
        vp(MODEL, "--stack", "local", "--to", "v1.1", "--yes", "--rehearsal", "--prometheus", "nonsense")
    assert world.candidate() is None


def test_a_rehearsal_that_does_not_run_is_told(world: World, vp: Vp) -> None:
    with pytest.raises(UserError, match="start it with `vp rehearse local`"):
        vp("abort", MODEL, "--stack", "local", "--rehearsal")
    assert world.candidate() is None


def test_status_shows_the_file_and_why_the_cluster_is_not_looked_at(world: World, vp: Vp) -> None:
    assert "no rollout" in vp("status", "--stack", "local")
    world.driver(deploys=False).run({"image": {"repository": "llm/x", "tag": "v2"}})
    shown = vp("status", MODEL, "--stack", "local", "--rehearsal")
    for part in ("llm/vllm-qwen-7b-awq:v1.0", "llm/x:v2", "step 1 of 3, 5 %", "does not run"):
        assert part in " ".join(shown.replace("│", " ").split()), shown


def _hold(file: Path, held: Event, over: Event) -> None:
    try:
        with only_one(file, MODEL):
            held.set()
            over.wait(60)
    except KeyboardInterrupt:
        over.set()


class TestLock:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VP_CACHE", str(tmp_path / "cache"))

    def test_a_second_driver_is_told_of_the_first_and_abort_stops_it(self, tmp_path: Path) -> None:
        file = tmp_path / "Pulumi.local.yaml"
        spawn = multiprocessing.get_context("spawn")
        held, over = spawn.Event(), spawn.Event()
        other = spawn.Process(target=_hold, args=(file, held, over))
        other.start()
        try:
            assert held.wait(60)
            with (
                pytest.raises(UserError, match=rf"process {other.pid}\) drives {MODEL}"),
                only_one(file, MODEL),
            ):
                pass
            with only_one(file, "another-model"), in_turn(file):
                pass
            with only_one(file, MODEL, stop_other=True):
                other.join(60)
                assert over.is_set()
        finally:
            other.kill()
            other.join()

    def test_a_process_that_does_not_hold_it_is_left_alone(self, tmp_path: Path) -> None:
        """What the file names may be an earlier holder, whose number somebody else has by now."""
        spawn = multiprocessing.get_context("spawn")
        held, over = spawn.Event(), spawn.Event()
        other = spawn.Process(target=_hold, args=(tmp_path / "Pulumi.other.yaml", held, over))
        other.start()
        try:
            assert held.wait(60)
            assert other.pid is not None
            _ask_to_stop(other.pid, tmp_path / "lock")
            assert not over.wait(1)
        finally:
            other.kill()
            other.join()

    def test_a_driver_that_was_killed_holds_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "Pulumi.local.yaml"
        spawn = multiprocessing.get_context("spawn")
        held, over = spawn.Event(), spawn.Event()
        other = spawn.Process(target=_hold, args=(file, held, over))
        other.start()
        assert held.wait(60)
        other.kill()
        other.join()
        with only_one(file, MODEL):
            pass


class TestView:
    check = Check(
        name="engine 5xx", opinion="bad", stable="0 of 9", canary="5 of 9", limit="1.00%", why="above"
    )

    def test_a_log_has_each_look_and_the_checks_when_they_change(self, world: World) -> None:
        out = StringIO()
        view = ConsoleView(Console(file=out, width=200))
        for age in (15.0, 30.0):
            view.looked(world.standing(), age, Verdict(checks=(self.check,)), "")
        assert out.getvalue().count("s to bake: bad") == 2
        assert out.getvalue().count("engine 5xx: stable 0 of 9, canary 5 of 9, limit 1.00%: above") == 1

    def test_a_terminal_has_a_table_and_is_left_as_it_was(self, world: World) -> None:
        out = StringIO()
        view = ConsoleView(Console(file=out, width=200, force_terminal=True))
        with view.running():
            view.looked(world.standing(), 15.0, Verdict(checks=(self.check,)), "no answer")
        assert "engine 5xx" in out.getvalue()
        assert "no answer" in out.getvalue()
        # The cursor is shown again.
        assert out.getvalue().rstrip().endswith(("\x1b[?25h", "\x1b[2K"))
