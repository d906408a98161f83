"""A checkout with a real stack file and real git, and a cluster that is a few numbers: what `vp rollout` drives, in no time."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ops.cluster_api import ClusterError
from ops.rollout.driver import Driver
from ops.rollout.history import History
from ops.rollout.judge import Distribution, Health, Measured, Requests, Verdict
from ops.rollout.observe import Live
from ops.rollout.stack_file import StackFile, Standing
from rehearsal.errors import UserError
from settings import stack_yaml
from tests.canary_stacks import MODEL, write_canary_stack

FAST = Distribution(buckets=((0.1, 900.0), (0.25, 1000.0), (float("inf"), 1000.0)))


def good() -> tuple[Measured, Measured]:
    return measured(200), measured(2000)


def measured(total: float, failed: float = 0) -> Measured:
    counts = Requests(total=total, refused=0, failed=failed)
    return Measured(engine=counts, gateway=counts, times={"first token": FAST, "inter-token": FAST})


class KilledError(BaseException):
    """The process ended here: nothing catches it, and nothing is cleaned up."""


@dataclass
class Recorded:
    """A view that keeps what it is told."""

    said: list[str] = field(default_factory=list[str])
    looks: list[tuple[str, float, Verdict, str]] = field(
        default_factory=list[tuple[str, float, Verdict, str]]
    )

    def moved(self, standing: Standing) -> None:
        self.said.append(str(standing))

    def looked(self, standing: Standing, age: float, verdict: Verdict, note: str) -> None:
        self.looks.append((str(standing), age, verdict, note))

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class World:
    """The cluster, which is what was last deployed, and a clock that only sleeping moves.

    weights: of the candidate, as the route had them, one after the other. kill_at: how many events happen before the
    process is killed; an event is a write, a commit or a deployment. better_at: when all replicas are there.
    unknown: Pulumi does not know of the candidate, and so removes none.
    """

    root: Path
    now: float = 0.0
    changed: float = 0.0
    weights: list[int] = field(default_factory=lambda: [0])
    images: dict[str, str] = field(default_factory=dict[str, str])
    health: Health = field(default_factory=lambda: Health(state="ready", replicas=9))
    replicas: int = 3
    settled: bool = True
    reachable: bool = True
    better_at: float = float("inf")
    deploys: int = 0
    refuse_deploy: Callable[[int], str | None] = lambda _: None
    measure: Callable[[], tuple[Measured, Measured]] = good
    events: list[str] = field(default_factory=list[str])
    kill_at: int | None = None
    unknown: bool = False
    removed: int = 0

    @property
    def path(self) -> Path:
        return self.root / "Pulumi.local.yaml"

    def event(self, what: str) -> None:
        self.events.append(what)
        if self.kill_at is not None and len(self.events) == self.kill_at:
            raise KilledError

    def deploy(self) -> None:
        """Do what `pulumi up` does: the cluster becomes what the file says."""
        self.deploys += 1
        why = self.refuse_deploy(self.deploys)
        if why:
            raise UserError(why)
        standing = StackFile(self.root, "local", MODEL).read()
        if standing.rollout.weight != self.weights[-1] or standing.images != self.images:
            self.changed = self.now
        if standing.rollout.weight != self.weights[-1]:
            self.weights.append(standing.rollout.weight)
        self.images = (self.images if self.unknown else {}) | standing.images
        self.event("deploy")

    def remove(self) -> None:
        self.removed += 1
        del self.images[f"{MODEL}-canary"]

    def look(self) -> Live:
        if not self.reachable:
            raise ClusterError("the API server does not answer")
        return Live(
            weight=self.weights[-1],
            age=self.now - self.changed,
            health=self.health if len(self.images) > 1 else None,
            replicas=self.replicas,
            settled=self.settled,
            images=self.images,
            addresses={},
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.better_at:
            self.settled = True
            self.health = Health(state="ready", replicas=9)

    def driver(self, *, deploys: bool = True, commits: bool = True, view: Recorded | None = None) -> Driver:
        file = _File(self, self.root, "local", MODEL)
        return Driver(
            file=file,
            history=_History(world=self, file=file.path) if commits else None,
            deploy=self.deploy if deploys else None,
            look=self.look,
            remove=self.remove,
            measure=lambda _, __: self.measure(),
            view=view or Recorded(),
            sleep=self.sleep,
            clock=lambda: self.now,
        )

    def standing(self) -> Standing:
        return StackFile(self.root, "local", MODEL).read()

    def candidate(self) -> object:
        document = cast("dict[str, Any]", stack_yaml.load(self.path.read_text()))
        (model,) = [m for m in document["config"]["vllm-platform:models"] if m["name"] == MODEL]
        return model["rollout"].get("candidate")

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout

    def subjects(self) -> list[str]:
        """Subjects of the commits after the first one, the oldest first."""
        return self.git("log", "--reverse", "--format=%s").splitlines()[1:]


class _File(StackFile):
    def __init__(self, world: World, root: Path, stack: str, model: str) -> None:
        super().__init__(root, stack, model)
        self._world = world

    def write(self, text: str) -> Standing:
        standing = super().write(text)
        self._world.event("write")
        return standing


@dataclass(frozen=True, kw_only=True)
class _History(History):
    world: World

    def commit(self, message: str) -> None:
        super().commit(message)
        self.world.event("commit")


def make_world(root: Path, **rollout: object) -> World:
    """Make one in which the stable release is deployed, all of it committed."""
    root.mkdir(parents=True, exist_ok=True)
    world = World(root=root)
    write_canary_stack(world.path, **rollout)
    (root / "staged.txt").write_text("somebody's\n")
    world.git("init", "--quiet")
    for name, value in {"user.name": "T", "user.email": "t@example.com", "commit.gpgsign": "false"}.items():
        world.git("config", name, value)
    world.git("add", world.path.name)
    world.git("commit", "--quiet", "--message", "begin")
    # What somebody else has staged stays staged.
    world.git("add", "staged.txt")
    world.images = world.standing().images
    return world
