"""Rehearsal tests run the real engine, provider and control plane, in a checkout of links so that the developer's own clusters stay untouched."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api
from rehearsal.cluster.layout import ClusterLayout, existing_clusters
from rehearsal.rehearse import plan
from rehearsal.toolchain import ALL_TOOLS, Toolchain, find_tools
from rehearsal.workspace import project_folder, pulumi_environment
from settings.stack import Settings
from tests.order import longest_first

REPOSITORY = Path(__file__).resolve().parents[2]
# A checkout's own: its clusters, its stack files (copied, for tests change them), its history.
NOT_LINKED = {".rehearsal", ".git"}
COMMAND_SECONDS = 300
LONGEST = (
    *("test_keda_scaling", "test_rollout_command", "test_documents", "test_interruption"),
    *("test_addon_install", "test_stacks", "test_promotion", "test_custom_resources"),
    *("test_secret_delivery", "test_policy_pack", "test_placement", "test_collector_logs"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    longest_first(items, LONGEST)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A folder that looks like a fresh clone with its set-up done."""

    root: Path

    def layout(self, stack: str) -> ClusterLayout:
        return ClusterLayout(project_root=self.root, name=stack)

    def vp(self, *arguments: str, code: int = 0) -> str:
        """Run `vp` in this checkout and return what it printed. Fails the test on another exit status than `code`."""
        done = self.start_and_wait([str(Path(sys.prefix) / "bin" / "vp"), *arguments])
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pulumi(self, stack: str, *arguments: str) -> str:
        """Run `pulumi` by hand in a rehearsal's project folder, as a person would."""
        layout = self.layout(stack)
        environment = pulumi_environment(layout, tools())
        done = self.start_and_wait(
            [str(tools().bin("pulumi")), *arguments, "--stack", stack], project_folder(layout), environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_and_wait(
        self,
        command: Sequence[str],
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        # A wide terminal: tables must not break the words that the tests look for.
        env = (environment or dict(os.environ)) | {"COLUMNS": "250"}
        return subprocess.run(
            command,
            cwd=folder or self.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def settings(self, stack: str) -> Settings:
        return plan(stack, self.root).settings

    def change(self, stack: str, section: str, value: object) -> None:
        """Rewrite one section of a stack file."""
        path = self.root / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(path.read_text())
        content["config"][f"vllm-platform:{section}"] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def section(self, stack: str, section: str) -> object:
        return yaml.safe_load((self.root / f"Pulumi.{stack}.yaml").read_text())["config"][
            f"vllm-platform:{section}"
        ]


def tools() -> Toolchain:
    """The built tools; building them belongs to `make test`, not to a test."""
    return find_tools(ALL_TOOLS)


def make_checkout(root: Path) -> Checkout:
    root.mkdir(parents=True, exist_ok=True)
    for source in REPOSITORY.iterdir():
        if source.name not in NOT_LINKED and not source.match("Pulumi*.yaml"):
            (root / source.name).symlink_to(source)
    for source in REPOSITORY.glob("Pulumi*.yaml"):
        (root / source.name).write_bytes(source.read_bytes())
    return Checkout(root=root)


def remove_clusters(checkout: Checkout) -> None:
    for layout in existing_clusters(checkout.root):
        lifecycle.down(layout)


@contextlib.contextmanager
def rehearsed(made: Checkout) -> Generator[Checkout]:
    """Rehearse the stack `local` of a checkout, whose stack file may be changed already; take all of it down at the end."""
    try:
        made.vp("rehearse", "local")
        yield made
    finally:
        remove_clusters(made)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout of its own for a test that breaks things."""
    made = make_checkout(tmp_path / "checkout")
    try:
        yield made
    finally:
        remove_clusters(made)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in which the stack `local` was rehearsed; shared by the tests of a module, which leave it as they found it."""
    with rehearsed(make_checkout(tmp_path_factory.mktemp("rehearsal") / "checkout")) as made:
        yield made


@pytest.fixture
def api(local: Checkout) -> Iterator[Api]:
    with lifecycle.connect(local.layout("local")) as connection:
        yield connection
