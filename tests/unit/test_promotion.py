"""`vp promote` and `vp rollback` on a real checkout: what is refused, what is committed. Pulumi is stood in for."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.other_side import git
from ops.promotion.promote import NOT_THE_SAME, Promoter
from rehearsal.errors import UserError
from settings import load_stack_file
from settings.loader import load_stack_text
from tests.promotion_stacks import FORMER, MODEL, stack_text
from tests.unit.promotion_world import DECIDING, HOUR, NOW, World, make_world
from tests.unit.test_stack_edit import changed_lines

pytestmark = pytest.mark.unit

NEW = "sha256:" + "cd" * 32
WHY = "there is no traffic in a test"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Dev runs a newer release than the others. Images are looked at in tests/rehearsal."""

    def not_copied(_: Promoter, __: object) -> list[str]:
        return []

    monkeypatch.setattr(Promoter, "_images", not_copied)
    return make_world(tmp_path, tag="v1.1", digest=NEW, max_num_seqs=8)


def promote(world: World, source: str = "dev", target: str = "staging") -> str:
    """Promote, and return the branch."""
    before = set(world.branches())
    assert world.promoter(source, target, unasked=WHY).run() == 0
    (branch,) = set(world.branches()) - before
    return branch


def test_a_promotion_is_one_commit_on_a_branch_and_changes_the_lines_that_are_meant(world: World) -> None:
    head, before = world.head, world.read("staging")
    branch = promote(world)
    assert branch.startswith("promote/dev-to-staging-")
    after = git(world.root, "show", f"{branch}:Pulumi.staging.yaml")
    assert changed_lines(before, after) == [
        "-        tag: v1.0",
        f'-        digest: "{FORMER}"',
        "+        tag: v1.1",
        f'+        digest: "{NEW}"',
        "-        max_num_seqs: 16 # at once",
        "+        max_num_seqs: 8 # at once",
    ]
    assert git(world.root, "rev-parse", f"{branch}^").strip() == head
    assert git(world.root, "diff", "--name-only", head, branch).split() == [
        "Pulumi.staging.yaml",
        "releases/staging.md",
    ]
    notes = git(world.root, "show", f"{branch}:releases/staging.md")
    assert "promoted from dev" in notes
    assert f"objectives were not asked for: {WHY}" in notes
    assert f"{MODEL}: engine.max_num_seqs: was 16, now 8" in notes
    assert "ran in dev for 7200 s" in notes
    # Nothing of the working tree moved.
    assert (world.head, world.read("staging")) == (head, before)
    assert git(world.root, "status", "--porcelain") == ""
    world.write("staging", after)
    assert world.promoter("dev", "staging").check() == 0


def test_check_refuses_a_file_with_a_digest_that_the_source_does_not_run(world: World) -> None:
    assert world.promoter("dev", "staging").check() == NOT_THE_SAME
    world.write("staging", world.read("staging").replace(FORMER, "sha256:" + "ee" * 32))
    assert world.promoter("dev", "staging").check() == NOT_THE_SAME


def test_a_second_promotion_has_its_notes_in_front_of_the_first(world: World) -> None:
    git(world.root, "merge", "--quiet", promote(world))
    world.write("dev", stack_text("dev", tag="v1.2", digest=FORMER))
    world.places["dev"].up(NOW - HOUR, world.commit())
    notes = git(world.root, "show", f"{promote(world)}:releases/staging.md")
    assert notes.count("promoted from dev") == 2
    assert notes.index("now llm/vllm-qwen3-embedding:v1.2") < notes.index("now llm/vllm-qwen3-embedding:v1.1")
    assert notes.startswith("# Releases of staging\n")


def test_what_is_promoted_already_makes_no_commit(world: World) -> None:
    git(world.root, "merge", "--quiet", promote(world))
    branches = world.branches()
    assert world.promoter("dev", "staging", unasked=WHY).run() == 0
    assert world.branches() == branches


class TestRefused:
    def refused(
        self,
        world: World,
        message: str,
        source: str = "dev",
        target: str = "staging",
        **options: Any,  # noqa: ANN401 - of a promotion
    ) -> None:
        branches = world.branches()
        with pytest.raises(UserError, match=message):
            world.promoter(source, target, unasked=WHY, **options).run()
        assert world.branches() == branches
        assert not (world.root / "releases").exists()

    def test_a_file_that_says_something_else_than_what_runs(self, world: World) -> None:
        other = "sha256:" + "ee" * 32
        world.write("dev", world.read("dev").replace(NEW, other))
        world.commit()
        self.refused(
            world, rf"(?s)dev\.yaml says something else than dev runs.*{other}.*{NEW}.*fix: run `pulumi up`"
        )

    def test_a_stack_that_runs_nothing(self, world: World) -> None:
        world.places["dev"].shown = {}
        self.refused(world, "dev has no output `release`")

    def test_an_image_that_no_digest_names(self, world: World) -> None:
        world.places["dev"].shown["release"]["models"][MODEL]["stable"]["image"] = (
            "registry.invalid/llm/x:v1.1"
        )
        self.refused(world, "no digest says which image that is")

    def test_a_rollout_under_way(self, world: World) -> None:
        world.places["dev"].shown["release"]["models"][MODEL]["candidate"] = {}
        self.refused(world, "a rollout is under way")

    def test_another_source_than_the_target_s(self, world: World) -> None:
        self.refused(world, "prod is promoted from staging, not from dev", target="prod")

    def test_a_target_that_names_no_source(self, world: World) -> None:
        self.refused(world, "does not say what it is promoted from", source="staging", target="dev")

    def test_changes_that_are_not_committed(self, world: World) -> None:
        world.write("staging", world.read("staging") + "# more\n")
        self.refused(world, "not committed")

    def test_a_last_update_that_failed(self, world: World) -> None:
        past = world.places["dev"].past
        past.insert(0, replace(past[0], result="failed", ended=NOW))
        self.refused(world, "the last update of stack dev failed")

    def test_what_has_not_run_for_long_enough(self, world: World) -> None:
        world.write("staging", stack_text("staging", soak_seconds=7201))
        world.commit()
        self.refused(world, r"for 7200 s, and staging wants 7201 s(?s:.*)fix: wait 1 s")

    @pytest.mark.parametrize("path", DECIDING)
    def test_a_source_of_another_program(self, world: World, path: str) -> None:
        world.change(path)
        self.refused(world, "charts, flags or images are made otherwise here")

    def test_a_source_with_other_flags_than_the_program_here_makes(self, world: World) -> None:
        made = copy.deepcopy(world.places["dev"].shown)
        made["release"]["models"][MODEL]["stable"]["engine_args"][-1] = "--runner=auto"
        self.refused(
            world,
            rf"(?s)other flags than the program here makes.*{MODEL}: it runs --runner=pooling.*here --runner=auto",
            made=made,
        )

    def test_a_source_whose_files_no_commit_holds(self, world: World) -> None:
        world.places["dev"].past = [replace(world.places["dev"].past[0], commit=None)]
        self.refused(world, "from files that no commit holds")

    def test_a_source_without_prometheus_unless_somebody_says_why(self, world: World) -> None:
        with pytest.raises(UserError, match=r"(?s)dev has no Prometheus.*--without-objectives REASON"):
            world.promoter("dev", "staging").run()
        assert world.branches() == ["main"]


class TestRollback:
    def promoted(self, world: World) -> str:
        """Promote to staging and deploy it. Returns the file of before."""
        before = world.read("staging")
        git(world.root, "merge", "--quiet", promote(world))
        world.places["staging"].up(NOW - HOUR, world.head)
        return before

    def test_it_goes_back_to_what_ran_before_in_a_commit_on_a_branch(self, world: World) -> None:
        before = self.promoted(world)
        after = world.read("staging")
        assert world.rollback("staging").run(at_once=False) == 0
        (branch,) = [name for name in world.branches() if name.startswith("rollback/")]
        assert git(world.root, "show", f"{branch}:Pulumi.staging.yaml") == before
        assert "rolled back" in git(world.root, "show", f"{branch}:releases/staging.md")
        assert world.read("staging") == after
        assert world.places["staging"].deployed == []

    def test_at_once_it_is_committed_here_and_deployed(self, world: World) -> None:
        before = self.promoted(world)
        head = world.head
        assert world.rollback("staging").run(at_once=True) == 0
        assert world.places["staging"].deployed == [before]
        assert git(world.root, "rev-parse", "HEAD^").strip() == head
        assert git(world.root, "status", "--porcelain") == ""
        assert (world.root / "releases" / "staging.md").is_file()

    def test_a_set_that_failed_goes_back_to_the_last_one_that_came_up(self, world: World) -> None:
        before = self.promoted(world)
        past = world.places["staging"].past
        past[0] = replace(past[0], result="failed")
        assert world.rollback("staging").run(at_once=True) == 0
        assert world.read("staging") == before

    def test_a_default_that_is_written_out_makes_no_other_set(self, world: World) -> None:
        seqs = "        max_num_seqs: 16 # at once\n"
        good = world.read("staging").replace(seqs, f"{seqs}        max_model_len: 4096\n")
        bad = good.replace("4096", "8192")
        for hours, text in ((3, good), (2, bad), (1, bad.replace(seqs, f"{seqs}        dtype: auto\n"))):
            world.write("staging", text)
            world.places["staging"].up(NOW - hours * HOUR, world.commit())
        world.places["staging"].past.pop()  # what was deployed at first
        assert world.rollback("staging").run(at_once=False) == 0
        (branch,) = [name for name in world.branches() if name.startswith("rollback/")]
        assert load_stack_text("staging", git(world.root, "show", f"{branch}:Pulumi.staging.yaml")).models[
            0
        ].engine == (load_stack_text("staging", good).models[0].engine)
        notes = git(world.root, "show", f"{branch}:releases/staging.md")
        assert f"{MODEL}: engine.max_model_len: was 8192, now 4096" in notes

    def built(self, world: World) -> None:
        """Deploy an image of dev's that is built there, and then the next one, with other flags."""
        for hours, tag, seqs in ((3, "v1.1", 8), (2, "v1.2", 16)):
            text = stack_text("dev", tag=tag, max_num_seqs=seqs)
            world.write("dev", text.replace(f'        digest: "{FORMER}"\n', "        build: true\n"))
            world.places["dev"].up(NOW - hours * HOUR, world.commit())

    def test_an_image_that_was_built_comes_back_by_its_digest(self, world: World) -> None:
        self.built(world)
        assert world.rollback("dev", digest_of={"v1.1": NEW}.get).run(at_once=True) == 0
        (model,) = load_stack_file(world.root / "Pulumi.dev.yaml").models
        assert (model.image.tag, model.image.digest, model.image.build) == ("v1.1", NEW, False)
        assert model.engine.max_num_seqs == 8

    def test_so_does_one_of_which_only_the_flags_were_others(self, world: World) -> None:
        self.built(world)
        world.write("dev", world.read("dev").replace("max_num_seqs: 16", "max_num_seqs: 4"))
        world.places["dev"].up(NOW - HOUR, world.commit())
        assert world.rollback("dev", digest_of={"v1.2": NEW}.get).run(at_once=True) == 0
        (model,) = load_stack_file(world.root / "Pulumi.dev.yaml").models
        assert (model.image.tag, model.image.digest, model.engine.max_num_seqs) == ("v1.2", NEW, 16)

    def test_an_image_that_the_registry_does_not_have_is_refused(self, world: World) -> None:
        self.built(world)
        text, head = world.read("dev"), world.head
        with pytest.raises(UserError, match=r"(?s)nobody can say which image.*has none with this tag.*fix: "):
            world.rollback("dev", digest_of=lambda _: None).run(at_once=True)
        with pytest.raises(UserError, match="a rehearsal asks no registry"):
            world.rollback("dev").run(at_once=True)
        assert (world.read("dev"), world.head, world.places["dev"].deployed) == (text, head, [])

    def test_an_image_whose_tag_was_built_again_otherwise_is_refused(self, world: World) -> None:
        self.built(world)
        world.change("docker/vllm/Dockerfile")
        world.write("dev", world.read("dev").replace("max_num_seqs: 16", "max_num_seqs: 4"))
        world.places["dev"].up(NOW - HOUR, world.commit())
        with pytest.raises(UserError, match=r"v1\.2 was built again since"):
            world.rollback("dev", digest_of={"v1.2": NEW}.get).run(at_once=True)

    def test_at_once_whatever_else_is_not_committed_is_refused(self, world: World) -> None:
        self.promoted(world)
        world.change("components/charts.py")
        (world.root / "components" / "charts.py").write_text("changed\n")
        (world.root / "components" / "new.py").write_text("new\n")
        head = world.head
        with pytest.raises(
            UserError, match=r"components/charts\.py, components/new\.py .* not committed(?s:.*)fix: "
        ):
            world.rollback("staging").run(at_once=True)
        assert (world.head, world.places["staging"].deployed) == (head, [])
        assert world.rollback("staging").run(at_once=False) == 0

    def test_without_an_earlier_set_it_is_refused(self, world: World) -> None:
        with pytest.raises(UserError, match="ran no other release set before"):
            world.rollback("staging").run(at_once=True)
        assert world.places["staging"].deployed == []


def test_a_digest_that_the_source_built_is_the_one_that_is_promoted(world: World) -> None:
    built = world.read("dev").replace(f'        digest: "{NEW}"\n', "        build: true\n")
    world.write("dev", built)
    world.places["dev"].up(NOW - HOUR, world.commit())
    stable = world.places["dev"].shown["release"]["models"][MODEL]["stable"]
    stable["image"] += f"@{NEW}"
    after = git(world.root, "show", f"{promote(world)}:Pulumi.staging.yaml")
    (model,) = load_stack_text("staging", after).models
    assert model.image.digest == NEW
    assert not model.image.build


def test_what_only_one_of_the_stacks_has_is_said_and_left_alone(world: World) -> None:
    text = world.read("staging").replace(f"name: {MODEL}\n", "name: other\n")
    world.write("staging", text)
    world.commit()
    assert world.promoter("dev", "staging", unasked=WHY).check() == 0
    assert load_stack_file(world.root / "Pulumi.staging.yaml").models[0].image.digest == FORMER
