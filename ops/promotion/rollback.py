"""`vp rollback STACK`: the release set that a stack ran before, as a commit on a branch of its own, or at once.

What it ran before is what Pulumi remembers of updates that succeeded, not what a file once said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from ops.promotion.built import DigestOf, by_digests
from ops.promotion.commits import Repository
from ops.promotion.notes import Entry, notes_of, with_entry
from ops.promotion.release_set import differences, written_release
from ops.promotion.updates import Earlier, earlier_run, parsed, release_of
from ops.rollout.place import Place
from ops.stack_edit import Step, read_exactly, remove, set_value
from rehearsal.errors import UserError
from settings import stack_yaml
from settings.loader import load_stack_file, load_stack_text
from settings.release import Release
from settings.rollout import CanaryRollout
from settings.stack import Settings

_MODELS = "vllm-platform:models"


def _now() -> datetime:
    return datetime.now(tz=UTC)


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """One way back of one stack. place: where it runs. digest_of: asks its registry; None where there is none to ask."""

    root: Path
    stack: str
    place: Place
    console: Console
    digest_of: DigestOf | None = None
    clock: Callable[[], datetime] = field(default=_now)

    def run(self, *, at_once: bool) -> int:
        """Do it. at_once: commit on the branch that is checked out, and run `pulumi up`. Returns 0; raises UserError, SettingsError."""
        repository = Repository(root=self.root)
        file, notes = f"Pulumi.{self.stack}.yaml", notes_of(self.stack)
        repository.refuse_changes(file, notes)
        if at_once:
            repository.refuse_any_change()
        before = load_stack_file(self.root / file)
        _no_rollout(self.stack, before)
        text = read_exactly(self.root / file)
        now = {name: release_of(entry) for name, entry in _entries(text).items()}
        earlier = earlier_run(self.stack, self.place.pulumi().updates(), now)
        earlier = by_digests(self.stack, earlier, now, repository.same_images, self.digest_of)
        charts_too, program_too = (
            earlier.commit is not None and same(earlier.commit, repository.head())
            for same in (repository.same_charts, repository.same_program)
        )
        back = going_back(text, earlier, charts_too=charts_too)
        after = load_stack_text(self.stack, back)
        entry = Entry(
            at=self.clock(),
            title="rolled back",
            facts=tuple(_facts(earlier, charts_too=charts_too, program_too=program_too)),
            changes=tuple(_changes(before, after)),
        )
        files = {file: back, notes: with_entry(repository.text(notes), self.stack, entry)}
        commit = repository.commit(files, f"{self.stack}: rolled back\n\n{entry.message}\n")
        self._say(*entry.facts, *entry.changes)
        if not at_once:
            branch = f"rollback/{self.stack}-{commit[:8]}"
            repository.branch(branch, commit)
            self._say(
                f"committed on branch {branch}", f"next: git push origin {branch}, and open a pull request"
            )
            return 0
        repository.advance(commit, list(files))
        self._say(f"committed as {commit[:8]}; it is not pushed")
        self.place.deploy()
        self._say(f"{self.stack} runs it again")
        return 0

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)


def going_back(text: str, earlier: Earlier, *, charts_too: bool) -> str:
    """Return a stack file with the releases of before. Models that came since stay. Pure; raises EditError.

    charts_too: the program installs the charts of then, so that what was promoted of them counts again.
    """
    for name, now in _entries(text).items():
        then, current = earlier.models.get(name), release_of(now)
        for key in _differing(then, current) if then is not None else ():
            path: list[Step] = ["config", _MODELS, ("name", name), key]
            if then is not None and key in then and then[key] != current.get(key):
                text = set_value(text, path, then[key])
            elif then is not None and key not in then and key in current:
                text = remove(text, path)
    if not charts_too:
        return text
    document = cast("Mapping[str, Any]", stack_yaml.load(text))
    if "vllm-platform:promotion" not in document["config"]:
        return text
    charts: list[Step] = ["config", "vllm-platform:promotion", "charts"]
    return (
        set_value(text, charts, [dict(pin) for pin in earlier.charts])
        if earlier.charts
        else remove(text, charts)
    )


def _differing(then: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return the parts of a release that are others; a default that is written out stays."""
    one, other = parsed(then), parsed(current)
    known = isinstance(one, Release) and isinstance(other, Release)
    return [key for key in Release.model_fields if not known or getattr(one, key) != getattr(other, key)]


def _entries(text: str) -> dict[str, Mapping[str, Any]]:
    document = cast("Mapping[str, Any]", stack_yaml.load(text))
    return {str(entry["name"]): entry for entry in document["config"][_MODELS]}


def _no_rollout(stack: str, settings: Settings) -> None:
    for model in settings.enabled_models:
        if isinstance(model.rollout, CanaryRollout) and model.rollout.candidate is not None:
            raise UserError(
                f"a rollout of {model.name} is under way in stack {stack}.\n"
                f"fix: `vp rollout abort {model.name} --stack {stack}` is the way back"
            )


def _facts(earlier: Earlier, *, charts_too: bool, program_too: bool) -> list[str]:
    known = f"from commit {earlier.commit}" if earlier.commit else "from files that no commit holds"
    found = [f"back to what was deployed at {earlier.update.ended:%Y-%m-%d %H:%M:%S} UTC, {known}"]
    if not charts_too:
        found.append("charts stay as this program has them: to go back, revert the commit that changed them")
    if charts_too and not program_too:
        found.append(
            "flags and images are made by this program, not by that of then: to go back, revert the commit that changed it"
        )
    return found


def _changes(before: Settings, after: Settings) -> list[str]:
    then = {model.name: model for model in after.models}
    return [
        f"{model.name}: {line}"
        for model in before.models
        for line in differences(written_release(model), written_release(then[model.name]), "was", "now")
    ]
