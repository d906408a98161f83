"""A git checkout with three small stacks, and a stand-in for the Pulumi that deployed them: what it says is the program's own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from rich.console import Console

from components.stack_outputs import release_outputs
from ops.other_side import git
from ops.promotion.promote import Promoter, Side
from ops.promotion.rollback import Rollback
from ops.rollout.place import Place
from rehearsal.engine import PulumiStack, Update
from settings import Settings, load_stack_file, stack_yaml
from tests.promotion_stacks import STACKS, stack_path, stack_text

NOW: Final = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
DECIDING: Final = (
    *("components/charts.py", "components/engine_args.py", "components/engine_files.py"),
    *("components/images.py", "components/inference_service.py", "components/vllm_image.py"),
    *("docker/vllm/Dockerfile", "settings/adapters.py", "settings/builds.py", "settings/data/models.yaml"),
    *("settings/engine.py", "settings/image_build.py", "settings/models.py", "settings/weights.py"),
)
"""Files of the program that have a say in what an engine is: its flags, its image, the charts beside it."""


def outputs_of(settings: Settings, digests: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what a stack with these settings exports. digests: of images that were built."""
    images = {
        model.name: model.image.reference(settings.registry.host)
        + (f"@{digests[model.name]}" if digests and model.image.is_built else "")
        for model in settings.deployed_models
    }
    return {"release": release_outputs(settings, images, {})}


def update_of(text: str, commit: str | None, ended: datetime, **changes: Any) -> Update:  # noqa: ANN401
    """Return what Pulumi remembers of an update with a stack file."""
    config = cast("dict[str, Any]", stack_yaml.load(text))["config"]
    sections = {
        key.removeprefix("vllm-platform:"): value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
        if key.startswith("vllm-platform:")
    }
    made = Update(kind="update", result="succeeded", ended=ended, config=sections, commit=commit)
    return replace(made, **changes)


class StandIn(Place):
    """A stack that was deployed. deployed: the text of its file at each deployment by what is tested."""

    def __init__(self, stack: str, root: Path) -> None:
        super().__init__(stack, root, Console(quiet=True))
        self.shown: dict[str, Any] = {}
        self.past: list[Update] = []
        self.deployed: list[str] = []

    def up(self, at: datetime, commit: str | None) -> None:
        """Deploy the file as it is."""
        path = stack_path(self.root, self.stack)
        self.shown = outputs_of(load_stack_file(path))
        self.past.insert(0, update_of(path.read_text(), commit, at))

    def deploy(self) -> None:
        self.deployed.append(stack_path(self.root, self.stack).read_text())

    def log_in(self) -> Any:  # noqa: ANN401 - nothing here asks a cluster
        raise NotImplementedError

    def prometheus_address(self) -> str | None:
        return None

    def pulumi(self) -> PulumiStack:
        return cast("PulumiStack", self)

    def outputs(self) -> dict[str, Any]:
        return self.shown

    def updates(self) -> list[Update]:
        return self.past


@dataclass(frozen=True, kw_only=True)
class World:
    """The checkout, and each stack as it is deployed."""

    root: Path
    places: Mapping[str, StandIn]

    @property
    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD").strip()

    def write(self, stack: str, text: str) -> None:
        stack_path(self.root, stack).write_text(text)

    def read(self, stack: str) -> str:
        return stack_path(self.root, stack).read_text()

    def commit(self, message: str = "a state") -> str:
        git(self.root, "commit", "--quiet", "--all", "--message", message)
        return self.head

    def change(self, path: str) -> str:
        """Commit another content of a file of the program."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.read_text() if file.is_file() else ''}more\n")
        git(self.root, "add", path)
        return self.commit()

    def branches(self) -> list[str]:
        return git(self.root, "branch", "--format=%(refname:short)").split()

    def promoter(self, source: str, target: str, **options: Any) -> Promoter:  # noqa: ANN401
        made = options.pop("made", None) or self.places[source].shown
        return Promoter(
            root=self.root,
            source=Side.of(self.root, source),
            target=Side.of(self.root, target),
            place=self.places[source],
            console=options.pop("console", Console(quiet=True)),
            rehearsal=True,
            clock=lambda: NOW,
            made=lambda: made,
            **options,
        )

    def rollback(self, stack: str, digest_of: Callable[[str], str | None] | None = None) -> Rollback:
        """Make one. digest_of: what the registry says of a tag."""
        return Rollback(
            root=self.root,
            stack=stack,
            place=self.places[stack],
            console=Console(quiet=True),
            clock=lambda: NOW,
            digest_of=None if digest_of is None else lambda image: digest_of(image.tag),
        )


def make_world(root: Path, **dev: Any) -> World:  # noqa: ANN401 - keys of a stack's text
    """Make it: every stack committed, and deployed two hours ago. dev: what is other in the first one."""
    for stack in STACKS:
        stack_path(root, stack).write_text(stack_text(stack, **(dev if stack == "dev" else {})))
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in {"user.name": "T", "user.email": "t@example.com", "commit.gpgsign": "false"}.items():
        git(root, "config", name, value)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "begin")
    world = World(root=root, places={stack: StandIn(stack, root) for stack in STACKS})
    for place in world.places.values():
        place.up(NOW - 2 * HOUR, world.head)
    return world
