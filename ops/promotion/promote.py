"""`vp promote SOURCE TARGET`: what the source runs becomes what the target's file says, in a commit on a branch of its own.

Nothing is deployed here. Everything that can refuse comes before the first thing that is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from ops.program_graph import program_graph
from ops.promotion.commits import Repository
from ops.promotion.notes import Entry, notes_of, with_entry
from ops.promotion.registry import Registries
from ops.promotion.release_set import ReleaseSet, not_as_made, not_as_written, running_set
from ops.promotion.slo import judge_model
from ops.promotion.target_file import Proposal, propose
from ops.promotion.updates import Run, current_run
from ops.render import outputs_of
from ops.rollout.place import Place, in_cluster
from ops.rollout.prometheus import Prometheus, PrometheusError, at_address
from ops.stack_edit import read_exactly
from rehearsal.errors import UserError
from rehearsal.toolchain import ensure_tools
from settings.loader import load_stack_file
from settings.promotion import Promotion
from settings.registry import EcrRegistry
from settings.stack import Settings

CRANE: Final = "crane"
NOT_THE_SAME: Final = 1


def _now() -> datetime:
    return datetime.now(tz=UTC)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two stacks. name: STACK in its file."""

    name: str
    settings: Settings

    @staticmethod
    def of(root: Path, name: str) -> "Side":
        """Read a stack's file. Raises SettingsError."""
        return Side(name=name, settings=load_stack_file(root / f"Pulumi.{name}.yaml"))

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"Pulumi.{self.name}.yaml"


@dataclass(frozen=True, kw_only=True)
class Promoter:
    """One promotion. place: where the source runs.

    rehearsal: that place is a rehearsal. prometheus: the address of another one than the source's own.
    unasked: why its objectives are not asked for; None asks. made: what the program here would export for the source; None asks it.
    """

    root: Path
    source: Side
    target: Side
    place: Place
    console: Console
    rehearsal: bool = False
    prometheus: str | None = None
    unasked: str | None = None
    made: Callable[[], Mapping[str, Any]] | None = None
    clock: Callable[[], datetime] = field(default=_now)

    def check(self) -> int:
        """Tell whether the target's file says what the source runs; returns NOT_THE_SAME where it does not. Writes nothing."""
        proposal = self._proposal(self._running())
        for line in proposal.changes:
            self._say(f"not what {self.source.name} runs: {line}")
        if not proposal.changes:
            self._say(f"{self.target.file} says what {self.source.name} runs")
        return NOT_THE_SAME if proposal.changes else 0

    def run(self) -> int:
        """Do it. Returns 0. Raises UserError and SettingsError for what is refused, with nothing written."""
        repository = Repository(root=self.root)
        notes = notes_of(self.target.name)
        repository.refuse_changes(self.source.file, self.target.file, notes)
        promotion = self._promotion()
        running = self._running()
        proposal = self._proposal(running)
        if not proposal.changes:
            self._say(f"{self.target.file} says what {self.source.name} runs: there is nothing to promote")
            return 0
        ran = self._ran(promotion, repository)
        facts = [self._since(ran, promotion), *self._objectives(promotion, proposal)]
        facts += self._images(proposal)
        facts += [f"{model}: stays as it is, {why}" for model, why in sorted(proposal.left.items())]
        facts += [f"{model}: not promoted, {self.target.name} has none" for model in proposal.elsewhere]
        entry = Entry(
            at=self.clock(),
            title=f"promoted from {self.source.name}",
            facts=tuple(facts),
            changes=proposal.changes,
        )
        title = f"{self.target.name}: promoted from {self.source.name}"
        files = {
            self.target.file: proposal.text,
            notes: with_entry(repository.text(notes), self.target.name, entry),
        }
        commit = repository.commit(files, f"{title}\n\n{entry.message}\n")
        branch = f"promote/{self.source.name}-to-{self.target.name}-{commit[:8]}"
        repository.branch(branch, commit)
        self._say(*(f"{line}" for line in (*facts, *proposal.changes)))
        self._say(f"committed on branch {branch}", f"next: git push origin {branch}, and open a pull request")
        return 0

    def _promotion(self) -> Promotion:
        promotion = self.target.settings.promotion
        if promotion is None:
            raise UserError(
                f"stack {self.target.name} does not say what it is promoted from.\n"
                f"fix: write `vllm-platform:promotion: {{source: {self.source.name}}}` in {self.target.file}"
            )
        if promotion.source != self.source.name or self.source.name == self.target.name:
            raise UserError(
                f"stack {self.target.name} is promoted from {promotion.source}, not from {self.source.name}.\n"
                f"fix: `vp promote {promotion.source} {self.target.name}`"
            )
        return promotion

    def _running(self) -> ReleaseSet:
        running = running_set(self.source.name, self.place.pulumi().outputs())
        differing = not_as_written(running, self.source.settings)
        if differing:
            raise UserError(
                f"{self.source.file} says something else than {self.source.name} runs, so nobody has seen it run:\n"
                + "".join(f"  {line}\n" for line in differing)
                + f"fix: run `pulumi up` on {self.source.name}, or take the change back"
            )
        return running

    def _proposal(self, running: ReleaseSet) -> Proposal:
        self._promotion()
        return propose(
            (self.source.name, self.source.settings, running),
            (self.target.name, self.target.settings),
            read_exactly(self.root / self.target.file),
        )

    def _ran(self, promotion: Promotion, repository: Repository) -> Run:
        run = current_run(self.source.name, self.place.pulumi().updates(), repository.same_program)
        if run.commit is None or not repository.same_program(run.commit, repository.head()):
            raise UserError(
                f"{self.source.name} was deployed from {run.commit or 'files that no commit holds'}, and charts, flags or "
                "images are made otherwise here: what would be deployed has not run there.\n"
                f"fix: deploy {self.source.name} from this commit, or check out the one that it runs"
            )
        self._refuse_other_flags()
        age = (self.clock() - run.since).total_seconds()
        if age < promotion.soak_seconds:
            raise UserError(
                f"{self.source.name} runs this release set for {age:.0f} s, and {self.target.name} wants "
                f"{promotion.soak_seconds} s (`promotion.soak_seconds`).\n"
                f"fix: wait {promotion.soak_seconds - age:.0f} s"
            )
        return run

    def _refuse_other_flags(self) -> None:
        """Raise UserError where engines run with other flags than the program here makes: whatever of it decided them."""
        made = self.made or (lambda: outputs_of(program_graph(self.source.name, self.root)))
        differing = not_as_made(self.place.pulumi().outputs(), made())
        if differing:
            raise UserError(
                f"{self.source.name} runs other flags than the program here makes of {self.source.file}, so they have not run "
                "there:\n"
                + "".join(f"  {line}\n" for line in differing)
                + f"fix: deploy {self.source.name} from this commit, or check out the one that it runs"
            )

    def _since(self, run: Run, promotion: Promotion) -> str:
        age = (self.clock() - run.since).total_seconds()
        return (
            f"ran in {self.source.name} for {age:.0f} s, since {run.since:%Y-%m-%d %H:%M:%S} UTC "
            f"({promotion.soak_seconds} s are asked for), from commit {run.commit}"
        )

    def _objectives(self, promotion: Promotion, proposal: Proposal) -> list[str]:
        """Return what Prometheus says of each model that is promoted. Raises UserError where an objective was not kept."""
        if self.unasked is not None:
            return [f"objectives were not asked for: {self.unasked}"]
        prometheus = self._ask()
        models = [model for model in self.source.settings.enabled_models if model.name in proposal.wanted]
        try:
            judged = [
                judge_model(prometheus, self.source.settings.namespace, model, promotion) for model in models
            ]
        except PrometheusError as error:
            raise UserError(f"Prometheus of {self.source.name} does not answer: {error}") from None
        broken = [f"{kept.model}: {why}" for kept in judged for why in kept.broken]
        if broken:
            raise UserError(
                f"objectives were not kept in {self.source.name}, or nobody can say:\n"
                + "".join(f"  {line}\n" for line in broken)
                + "fix: put it right there and let it run; what is known better goes on with --without-objectives REASON"
            )
        return [f"{kept.model}: {'; '.join(kept.lines)}" for kept in judged]

    def _ask(self) -> Prometheus:
        if self.prometheus is not None:
            return Prometheus(at_address(self.prometheus))
        inside = self.place.prometheus_address()
        if inside is None:
            raise UserError(
                f"stack {self.source.name} has no Prometheus (no output `prometheus_url`), so nobody can say whether its "
                "models kept their objectives.\n"
                "fix: name one with --prometheus URL, or say why it goes without with --without-objectives REASON"
            )
        return Prometheus(in_cluster(self.place, inside))

    def _images(self, proposal: Proposal) -> list[str]:
        """Bring the images into the target's registry. Returns what was done, a line each. Raises UserError."""
        source, target = self.source.settings.registry, self.target.settings.registry
        if self.rehearsal and (isinstance(source, EcrRegistry) or isinstance(target, EcrRegistry)):
            return ["images were not looked at: a rehearsal of a stack on Amazon ECR pulls none"]
        crane = ensure_tools([CRANE], self.console).bin(CRANE)
        registries = Registries(crane=crane, source=source.host, target=target.host)
        images = {release.image.reference(target.host): release.image for release in proposal.wanted.values()}
        return [registries.bring(image) for _, image in sorted(images.items())]

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)
