"""The driver: every way through a rollout, and every place at which it can be killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from ops.rollout.driver import ROLLED_BACK
from ops.rollout.judge import Health, Measured
from ops.rollout.prometheus import PrometheusError
from ops.rollout.target import release_change
from rehearsal.errors import UserError
from settings import SettingsError
from tests.canary_stacks import MODEL, STEPS
from tests.unit.rollout_world import KilledError, Recorded, World, good, make_world, measured

pytestmark = pytest.mark.unit

# A move is a write, a commit and a deployment: begin, two more steps, take over, finish.
EVENTS: Final = 3 * (len(STEPS) + 2)
LINES: Final = ["+        tag: v1.1", "-        tag: v1.0"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "checkout")


def start(world: World, *, deploys: bool = True, view: Recorded | None = None) -> int:
    """Run the command with `--to v1.1` as often as somebody would type it."""
    standing = world.standing()
    change = release_change(standing.model, ["v1.1"]) if standing.phase == "stable" else None
    return world.driver(deploys=deploys, view=view).run(change)


def is_done(world: World) -> bool:
    """Tell whether the new release is the stable one, all of it committed and deployed, and nothing else was changed."""
    diff = world.git("diff", "HEAD", "--unified=0", "--", "Pulumi.local.yaml")
    changed = world.git(
        "diff", world.git("rev-list", "--max-parents=0", "HEAD").strip(), "--unified=0", "--", "*.yaml"
    )
    lines = [line for line in changed.splitlines() if line[0] in "+-" and line[1:2] == " "]
    assert sorted(lines) == LINES
    assert world.git("status", "--porcelain") == "A  staged.txt\n"
    return (
        diff == ""
        and world.candidate() is None
        and world.weights[-1] == 0
        and world.images == {MODEL: world.standing().images[MODEL]}
        and world.images[MODEL].endswith(":v1.1")
    )


def test_a_good_release_goes_through_every_step_and_is_taken_over(world: World) -> None:
    assert start(world) == 0
    assert is_done(world)
    assert world.weights == [0, *STEPS, 0]
    assert world.subjects() == [
        "local: qwen-7b-vllm: step 1 of 3, 5 % to the candidate",
        "local: qwen-7b-vllm: step 2 of 3, 50 % to the candidate",
        "local: qwen-7b-vllm: step 3 of 3, 100 % to the candidate",
        "local: qwen-7b-vllm: taken over, the candidate still has 100 %",
        "local: qwen-7b-vllm: rollout done",
    ]
    assert world.events == ["write", "commit", "deploy"] * (EVENTS // 3)
    # Three steps of ten minutes.
    assert world.now == pytest.approx(1800, abs=60)


@pytest.mark.parametrize("kill_at", range(1, EVENTS + 1))
def test_killed_anywhere_the_next_run_brings_it_to_the_same_end(world: World, kill_at: int) -> None:
    world.kill_at = kill_at
    with pytest.raises(KilledError):
        start(world)
    world.kill_at = None
    if kill_at < EVENTS:
        assert start(world) == 0
    else:
        with pytest.raises(UserError, match="the stable release is what --to names"):
            start(world)
    assert is_done(world)
    assert world.weights == [0, *STEPS, 0]


@pytest.mark.parametrize("kill_at", range(1, EVENTS - 2))
def test_killed_anywhere_abort_goes_back_or_says_why_not(world: World, kill_at: int) -> None:
    world.kill_at = kill_at
    with pytest.raises(KilledError):
        start(world)
    world.kill_at = None
    before = world.standing()
    if before.phase == "promoted":
        with pytest.raises(UserError, match="the new release by now"):
            world.driver().abort()
        return
    assert world.driver().abort() == 0
    assert world.candidate() is None
    assert world.images[MODEL].endswith(":v1.0")
    assert world.weights[-1] == 0
    assert world.git("status", "--porcelain") == "A  staged.txt\n"
    assert world.subjects()[-1] == "local: qwen-7b-vllm: rollout aborted"


@pytest.mark.parametrize("kill_at", [10, 11])
@pytest.mark.parametrize("again", [True, False])
def test_killed_while_it_goes_back_the_next_run_finishes_that(
    world: World, kill_at: int, *, again: bool
) -> None:
    """Three moves to 100 percent, then back: killed after the write, and after the commit."""
    world.measure = lambda: (measured(200, failed=200 if world.weights[-1] == 100 else 0), measured(2000))
    world.kill_at = kill_at
    with pytest.raises(KilledError):
        start(world)
    world.kill_at = None
    # The same command does not begin again what was found to be bad.
    assert (start(world) if again else world.driver().abort()) == (ROLLED_BACK if again else 0)
    assert world.weights == [0, *STEPS, 0]
    assert world.git("status", "--porcelain") == "A  staged.txt\n"
    deploys = world.deploys
    assert world.driver().abort() == 0
    assert world.deploys == deploys


@pytest.mark.parametrize("in_file", [True, False])
def test_a_candidate_that_pulumi_does_not_know_of_is_removed_too(world: World, *, in_file: bool) -> None:
    """Made by an update that was cut off before it wrote that down; then a way back that was cut off too."""
    world.kill_at = 3
    with pytest.raises(KilledError):
        start(world)
    world.unknown = True
    if not in_file:
        world.kill_at = len(world.events) + 2
        with pytest.raises(KilledError):
            world.driver().abort()
    world.kill_at = None
    assert world.driver().abort() == 0
    assert world.images.keys() == {MODEL}
    assert world.removed == 1
    assert world.driver().abort() == 0
    assert world.removed == 1


def test_what_pulumi_removes_is_removed_by_nobody_else(world: World) -> None:
    assert start(world) == 0
    assert world.removed == 0


@pytest.mark.parametrize("bad_from", STEPS)
def test_a_bad_release_is_rolled_back_at_its_step_with_the_numbers(world: World, bad_from: int) -> None:
    world.measure = lambda: (
        measured(200, failed=100 if world.weights[-1] >= bad_from else 0),
        measured(2000),
    )
    view = Recorded()
    assert start(world, view=view) == ROLLED_BACK
    assert world.weights == [0, *STEPS[: STEPS.index(bad_from) + 1], 0]
    assert world.candidate() is None
    assert world.images[MODEL].endswith(":v1.0")
    message = world.git("log", "-1", "--format=%B")
    assert message.startswith(
        f"local: qwen-7b-vllm: rolled back at {bad_from} %\n\nengine 5xx: above the limit"
    )
    assert "canary 50.00% of 200, limit 1.00%" in message
    assert any("engine 5xx" in said for said in view.said)
    # At once: the bake is not waited for.
    assert world.now - world.changed <= 15


def test_pods_that_do_not_stay_ready_are_rolled_back(world: World) -> None:
    world.health = Health(state="not ready", why="Ready: no node has a GPU left")
    assert start(world) == ROLLED_BACK
    assert "no node has a GPU left" in world.git("log", "-1", "--format=%B")


def test_a_step_whose_deployment_fails_is_rolled_back(world: World) -> None:
    world.refuse_deploy = lambda count: "the candidate is not Ready after 1800 s" if count == 2 else None
    assert start(world) == ROLLED_BACK
    assert world.weights == [0, 5, 0]
    assert "not Ready after 1800 s" in world.git("log", "-1", "--format=%B")


def test_a_way_back_that_can_not_be_deployed_is_told_and_abort_finishes_it(world: World) -> None:
    world.refuse_deploy = lambda count: "no credentials" if count >= 2 else None
    with pytest.raises(UserError, match=r"rolled back at 50 %.*not deployed:\nno credentials"):
        start(world)
    assert world.candidate() is None
    world.refuse_deploy = lambda _: None
    assert world.driver().abort() == 0
    assert world.weights == [0, 5, 0]


def no_answer() -> tuple[Measured, Measured]:
    raise PrometheusError("Prometheus does not answer")


@pytest.mark.parametrize(
    "nothing", [lambda: (Measured(), measured(2000)), lambda: (measured(10), measured(2000)), no_answer]
)
def test_what_is_not_shown_to_be_good_in_time_is_rolled_back(
    world: World, nothing: Callable[[], tuple[Measured, Measured]]
) -> None:
    world.measure = nothing
    assert start(world) == ROLLED_BACK
    assert world.weights == [0, 5, 0]
    assert world.now == pytest.approx(3600, abs=30)
    assert "not shown to be good within 3600 s" in world.git("log", "-1", "--format=%B")


def test_a_step_waits_for_traffic_beyond_its_bake_time(world: World) -> None:
    world.measure = lambda: (measured(200 if world.now > 1000 else 10), measured(2000))
    assert start(world) == 0
    assert is_done(world)


def test_an_api_server_that_is_away_for_a_while_ends_nothing(world: World) -> None:
    def sleep(seconds: float) -> None:
        world.now += seconds
        world.reachable = not 100 < world.now < 300

    view = Recorded()
    driver = world.driver(view=view)
    driver.sleep = sleep
    assert driver.run(release_change(world.standing().model, ["v1.1"])) == 0
    assert is_done(world)
    assert [note for _, _, _, note in view.looks if "does not answer" in note]


def test_somebody_else_s_change_of_the_route_is_rolled_back(world: World) -> None:
    def measure() -> tuple[Measured, Measured]:
        world.weights.append(80)
        return good()

    world.measure = measure
    assert start(world) == ROLLED_BACK
    assert "the route gives it 80 %, not 5 %" in world.git("log", "-1", "--format=%B")


def test_a_first_step_without_traffic_is_judged_by_its_pods(tmp_path: Path) -> None:
    """Blue/green: the new version stands warm, then has all of it."""
    world = make_world(tmp_path / "checkout", steps=[0, 100])
    world.measure = lambda: (measured(200 if world.weights[-1] else 0), measured(2000))
    assert start(world) == 0
    assert world.weights == [0, 100, 0]
    assert is_done(world)


def test_the_next_step_waits_for_its_replicas(world: World) -> None:
    """A scaler makes them; of its replicas only the first is waited for by `pulumi up`."""
    world.health = Health(state="ready", replicas=1)
    world.better_at = 2000
    assert start(world) == 0
    assert world.now > 2000 + 1200
    assert is_done(world)


def test_the_candidate_keeps_the_traffic_until_the_stable_version_can_take_it_back(world: World) -> None:
    world.settled = False
    world.better_at = 2500
    assert start(world) == 0
    assert world.now >= 2500
    assert is_done(world)


def test_a_stable_version_that_never_can_is_told_and_nothing_is_taken_away(world: World) -> None:
    world.settled = False
    with pytest.raises(UserError, match=r"still being replaced\. The candidate keeps the traffic"):
        start(world)
    assert world.standing().phase == "promoted"
    assert world.weights[-1] == 100


class TestSomebodyElseDeploys:
    """`--no-up`: each run writes and commits one move, and ends."""

    def test_one_commit_a_run_and_the_judge_before_each(self, world: World) -> None:
        for number in range(len(STEPS) + 2):
            assert start(world, deploys=False) == 0
            assert len(world.subjects()) == number + 1
            assert world.deploys == number
            world.deploy()
        assert is_done(world)
        assert world.weights == [0, *STEPS, 0]

    def test_what_is_not_deployed_yet_is_not_judged(self, world: World) -> None:
        assert start(world, deploys=False) == 0
        with pytest.raises(UserError, match="not deployed yet: the route gives 0 % to the candidate"):
            start(world, deploys=False)
        assert len(world.subjects()) == 1

    def test_a_stable_version_that_is_still_being_replaced_is_waited_for(self, world: World) -> None:
        for _ in range(len(STEPS) + 1):
            assert start(world, deploys=False) == 0
            world.deploy()
        world.settled = False
        with pytest.raises(UserError, match="replicas of the stable version are still being replaced"):
            start(world, deploys=False)
        assert world.standing().phase == "promoted"

    def test_a_bad_step_is_taken_back_by_a_commit(self, world: World) -> None:
        assert start(world, deploys=False) == 0
        world.deploy()
        world.measure = lambda: (measured(200, failed=100), measured(2000))
        assert start(world, deploys=False) == ROLLED_BACK
        assert world.candidate() is None
        assert world.weights[-1] == 5
        assert world.subjects()[-1] == "local: qwen-7b-vllm: rolled back at 5 %"


class TestTheFile:
    def test_changes_of_others_that_are_not_committed_are_not_taken_along(self, world: World) -> None:
        world.path.write_text(world.path.read_text().replace("max_num_seqs: 8", "max_num_seqs: 4"))
        with pytest.raises(UserError, match="changes that are not committed"):
            start(world)
        assert world.deploys == 0
        assert world.subjects() == []

    def test_commits_can_be_left_to_somebody_else(self, world: World) -> None:
        assert world.driver(commits=False).run(release_change(world.standing().model, ["v1.1"])) == 0
        assert world.subjects() == []
        assert world.git("status", "--porcelain", "Pulumi.local.yaml") == " M Pulumi.local.yaml\n"
        assert world.candidate() is None

    def test_a_move_that_the_checks_refuse_is_not_written(self, world: World) -> None:
        before = world.path.read_text()
        change = {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "latest"}}
        with pytest.raises(SettingsError, match="latest"):
            world.driver().run(change)
        assert world.path.read_text() == before
        assert world.deploys == 0

    def test_a_hook_that_refuses_the_commit_is_told_and_the_next_run_goes_on(self, world: World) -> None:
        hook = world.root / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
        hook.chmod(0o755)
        with pytest.raises(UserError, match=r"git did not commit Pulumi\.local\.yaml: no"):
            start(world)
        assert world.deploys == 0
        hook.unlink()
        assert start(world) == 0
        assert is_done(world)

    def test_replicas_that_a_scaler_added_are_kept(self, world: World) -> None:
        world.replicas = 4
        world.kill_at = 1
        with pytest.raises(KilledError):
            start(world)
        assert world.candidate() == {
            "release": {"image": {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.1"}},
            "step": 0,
            "replicas": 4,
        }

    def test_nothing_under_way_and_nothing_named_is_told(self, world: World) -> None:
        with pytest.raises(UserError, match="Say with --to"):
            world.driver().run(None)


def test_abort_of_nothing_does_nothing(world: World) -> None:
    view = Recorded()
    assert world.driver(view=view).abort() == 0
    assert "nothing to go back from" in view.said[-1]
    assert world.deploys == 0
