"""A release set goes from dev over staging to prod, and back: three rehearsed stacks, two real registries, real commits."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from ops.other_side import git
from rehearsal.cluster import lifecycle
from tests.docs.shown_commands import all_blocks, run
from tests.promotion_stacks import MODEL, REPOSITORY, STACKS, stack_path, stack_text
from tests.rehearsal.conftest import Checkout, make_checkout, remove_clusters
from tests.rehearsal.registries import Registry, registry

pytestmark = pytest.mark.rehearsal

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/llm-prod/inferenceservices"
WHY = "simulated pods answer no request"


class World:
    """The checkout, the registries of its stacks, and the images that were pushed."""

    def __init__(self, checkout: Checkout, registries: dict[str, Registry], digests: dict[str, str]) -> None:
        self.checkout, self.registries, self.digests = checkout, registries, digests

    @property
    def root(self) -> Path:
        return self.checkout.root

    def promote(self, source: str, target: str, code: int = 0) -> str:
        return self.checkout.vp(
            "promote", source, target, "--rehearsal", "--without-objectives", WHY, code=code
        )

    def merge(self, shown: str) -> None:
        """Merge the branch that a command made, as somebody does who merges a pull request."""
        branch = next(line for line in shown.splitlines() if line.startswith("committed on branch "))
        git(self.root, "merge", "--quiet", "--ff-only", branch.removeprefix("committed on branch "))

    def commit(self) -> None:
        git(self.root, "commit", "--quiet", "--all", "--message", "a state")

    def runs(self, stack: str) -> str:
        """Return the digest of what a stack's cluster runs."""
        with lifecycle.connect(self.checkout.layout(stack)) as api:
            (service,) = cast("list[dict[str, Any]]", api.fetch(SERVICES)["items"])
            deployment = api.get("apps/v1", "Deployment", f"{MODEL}-predictor", "llm-prod")
        assert deployment is not None
        found = [
            service["spec"]["predictor"]["containers"][0]["image"],
            deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        ]
        assert found[0] == found[1]
        host, _, _ = found[0].partition(f"/{REPOSITORY}")
        assert host == self.registries[stack].host
        return found[0].partition("@")[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Dev and staging share a registry; prod has its own. All of them run the former release, dev the new one."""
    folder = tmp_path_factory.mktemp("promotion")
    made = make_checkout(folder / "checkout")
    with ExitStack() as stack:
        stack.callback(remove_clusters, made)
        tests = stack.enter_context(registry(folder / "tests"))
        own = stack.enter_context(registry(folder / "prod"))
        registries = {"dev": tests, "staging": tests, "prod": own}
        digests = {
            "former": tests.push(REPOSITORY, "v1.0", b"former", folder),
            "new": tests.push(REPOSITORY, "v1.1", b"new", folder),
        }
        assert own.push(REPOSITORY, "v1.0", b"former", folder) == digests["former"]
        for path in made.root.glob("Pulumi.*.yaml"):
            path.unlink()
        for name in STACKS:
            other = {"tag": "v1.1", "digest": digests["new"], "max_num_seqs": 8}
            own_release: dict[str, Any] = other if name == "dev" else {"digest": digests["former"]}
            text = stack_text(name, host=registries[name].host, **own_release)
            stack_path(made.root, name).write_text(text)
        git(made.root, "init", "--quiet", "--initial-branch", "main")
        for name, value in {
            "user.name": "T",
            "user.email": "t@example.com",
            "commit.gpgsign": "false",
        }.items():
            git(made.root, "config", name, value)
        # The program is links here; the stack files are what is committed.
        (made.root / ".git" / "info" / "exclude").write_text("*\n")
        git(made.root, "add", "--force", "Pulumi.yaml", *(f"Pulumi.{name}.yaml" for name in STACKS))
        git(made.root, "commit", "--quiet", "--message", "begin")
        for name in STACKS:
            made.vp("rehearse", name)
        yield World(made, registries, digests)


def test_what_dev_ran_goes_to_staging_and_prod_and_back_and_each_is_a_commit(world: World) -> None:
    new, former = world.digests["new"], world.digests["former"]
    assert [world.runs(stack) for stack in STACKS] == [new, former, former]
    before = stack_path(world.root, "prod").read_text()

    # Prod does not get what staging has not run.
    assert "there is nothing to promote" in world.promote("staging", "prod")
    world.merge(world.promote("dev", "staging"))
    refused = world.promote("staging", "prod", code=1)
    assert "Pulumi.staging.yaml says something else than staging runs" in refused
    assert new in refused
    world.checkout.vp("rehearse", "staging")

    shown = world.promote("staging", "prod")
    assert f"{REPOSITORY}@{new}: copied" in shown
    assert world.registries["prod"].manifest(REPOSITORY, "v1.1") == world.registries["dev"].manifest(
        REPOSITORY, new
    )
    world.merge(shown)
    world.checkout.vp("rehearse", "prod")
    assert [world.runs(stack) for stack in STACKS] == [new, new, new]
    assert "--max-num-seqs=8" in str(_arguments(world, "prod"))

    shown = world.checkout.vp("rollback", "prod", "--now", "--rehearsal")
    assert "prod runs it again" in shown
    assert [world.runs(stack) for stack in STACKS] == [new, new, former]
    assert stack_path(world.root, "prod").read_text() == before
    titles = git(world.root, "log", "--format=%s").splitlines()
    assert titles == [
        "prod: rolled back",
        "prod: promoted from staging",
        "staging: promoted from dev",
        "begin",
    ]
    assert git(world.root, "status", "--porcelain") == ""
    notes = (world.root / "releases" / "prod.md").read_text()
    assert notes.index("rolled back") < notes.index("promoted from staging")


def test_the_commands_of_the_document_from_top_to_bottom(world: World, tmp_path: Path) -> None:
    blocks = [
        block for block in all_blocks() if block.document == "docs/promotion.md" and block.language == "bash"
    ]
    assert blocks
    shown = "".join(run(block, world.root, tmp_path) for block in blocks)
    assert "there is nothing to promote" in shown
    assert "Pulumi.staging.yaml says what dev runs" in shown
    assert "committed on branch rollback/staging-" in shown


def _arguments(world: World, stack: str) -> list[str]:
    with lifecycle.connect(world.checkout.layout(stack)) as api:
        (service,) = cast("list[dict[str, Any]]", api.fetch(SERVICES)["items"])
    return service["spec"]["predictor"]["containers"][0]["args"]


def test_a_digest_that_dev_does_not_run_is_refused_and_so_is_what_has_not_run_for_long_enough(
    world: World,
) -> None:
    branches = git(world.root, "branch")
    path = stack_path(world.root, "dev")
    honest = path.read_text()
    tampered = "sha256:" + "ee" * 32
    path.write_text(honest.replace(world.digests["new"], tampered))
    world.commit()
    refused = world.promote("dev", "staging", code=1)
    assert (
        f"the file says {REPOSITORY}:v1.1@{tampered}, it runs {REPOSITORY}:v1.1@{world.digests['new']}"
        in refused
    )
    path.write_text(honest)
    staging = stack_path(world.root, "staging")
    staging.write_text(
        staging.read_text()
        .replace("soak_seconds: 0", "soak_seconds: 86400")
        .replace("max_num_seqs: 8", "max_num_seqs: 4")
    )
    world.commit()
    assert "and staging wants 86400 s" in world.promote("dev", "staging", code=1)
    assert world.checkout.vp("promote", "dev", "staging", "--check", "--rehearsal", code=1)
    assert git(world.root, "branch") == branches
