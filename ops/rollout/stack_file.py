"""Where a rollout stands: in the stack file, and nowhere else. Each move is a change of a few lines of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ops.stack_edit import Step, read_exactly, remove, set_value, write_whole
from rehearsal.errors import UserError
from settings import stack_yaml
from settings.loader import load_stack_file, load_stack_text
from settings.models import Model
from settings.release import Release
from settings.rollout import CanaryRollout, Candidate
from settings.stack import Settings
from settings.versions import canary_of, versions_of

Phase = Literal["stable", "step", "promoted"]
_MODELS: Final = "vllm-platform:models"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A model as its stack file has it.

    phase: `stable`: no rollout is under way. `step`: the candidate has the weight of its step. `promoted`: the stable
    version's own settings are the candidate's, which still has all of the traffic.
    """

    settings: Settings
    model: Model
    rollout: CanaryRollout

    @property
    def candidate(self) -> Candidate | None:
        """The new version, if there is one."""
        return self.rollout.candidate

    @property
    def release(self) -> Release:
        """What the candidate runs; without one, what the model runs."""
        stable = self.model.release
        return stable if self.candidate is None else self.candidate.release.applied_to(stable)

    @property
    def phase(self) -> Phase:
        """Where the rollout stands."""
        if self.candidate is None:
            return "stable"
        return "promoted" if self.release == self.model.release else "step"

    @property
    def last_step(self) -> bool:
        """Whether the candidate has all that it will get."""
        return self.candidate is not None and self.candidate.step == len(self.rollout.steps) - 1

    @property
    def images(self) -> dict[str, str]:
        """What each version's container runs, by InferenceService."""
        return {version.name: self.settings.image_reference(version) for version in versions_of(self.model)}

    @property
    def candidate_replicas(self) -> int:
        """How many of the candidate stand, for its step and the next."""
        canary = canary_of(self.model)
        return 0 if canary is None else canary.min_replicas

    def __str__(self) -> str:
        """In words, as commits say it."""
        if self.candidate is None:
            return f"{self.model.name}: no rollout"
        if self.phase == "promoted":
            return f"{self.model.name}: taken over, the candidate still has {self.rollout.weight} %"
        step, steps = self.candidate.step + 1, len(self.rollout.steps)
        return f"{self.model.name}: step {step} of {steps}, {self.rollout.weight} % to the candidate"


class StackFile:
    """The stack file, for one model of it."""

    def __init__(self, root: Path, stack: str, model: str) -> None:
        self.path = root / f"Pulumi.{stack}.yaml"
        self.stack = stack
        self.model = model

    def read(self) -> Standing:
        """Return where it stands. Raises SettingsError, or UserError for a model that has no canary."""
        return self._standing(load_stack_file(self.path))

    def understood(self, text: str) -> Standing:
        """Return where a text of the file would stand, checked as the file is. Raises as `read` does."""
        return self._standing(load_stack_text(self.stack, text))

    def text(self) -> str:
        """The file as it is."""
        return read_exactly(self.path)

    def begun(self, change: Mapping[str, Any], replicas: int | None) -> str:
        """Return the text with a candidate at its first step. replicas: how many carry all of the traffic now."""
        held = {} if replicas is None else {"replicas": replicas}
        return set_value(self.text(), self._candidate(), {"release": change, "step": 0, **held})

    def advanced(self, standing: Standing) -> str:
        """Return the text with the candidate one step further."""
        if standing.candidate is None:
            raise UserError(f"{standing}: there is nothing to move on.")
        return set_value(self.text(), [*self._candidate(), "step"], standing.candidate.step + 1)

    def promoted(self, standing: Standing) -> str:
        """Return the text with the candidate's release as the model's own, and the candidate as it is."""
        if standing.candidate is None:
            raise UserError(f"{standing}: there is nothing to take over.")
        text = self.text()
        for key, value in standing.candidate.release.model_dump(
            mode="json", exclude_unset=True, exclude_none=True
        ).items():
            text = set_value(text, [*self._at(), key], value)
        return text

    def finished(self) -> str:
        """Return the text without a candidate."""
        return remove(self.text(), self._candidate())

    def write(self, text: str) -> Standing:
        """Write a text that passes every check, in one go. Returns where it then stands; raises as `read` does."""
        standing = self.understood(text)
        write_whole(self.path, text)
        return standing

    def moves(self, before: str, after: str) -> bool:
        """Tell whether two texts differ in nothing but this model's release and candidate: one of the moves above."""
        try:
            old, new = _without_release(before, self.model), _without_release(after, self.model)
        except (*stack_yaml.YAML_ERRORS, StopIteration):
            return False
        return old[0] == new[0] and (old[1] or new[1])

    def _at(self) -> list[Step]:
        return ["config", _MODELS, ("name", self.model)]

    def _candidate(self) -> list[Step]:
        return [*self._at(), "rollout", "candidate"]

    def _standing(self, settings: Settings) -> Standing:
        found = {model.name: model for model in settings.models}
        if self.model not in found:
            raise UserError(
                f"stack {self.stack} has no model {self.model}. It has: {', '.join(found) or 'none'}."
            )
        model = found[self.model]
        if not model.enabled:
            raise UserError(f"{self.model} is off in stack {self.stack} (`enabled: false`).")
        if not isinstance(model.rollout, CanaryRollout):
            raise UserError(
                f"{self.model} of stack {self.stack} has no canary: its rollout is of kind {model.rollout.kind}.\n"
                "fix: write `rollout: {kind: canary, steps: [5, 25, 50, 100]}` in the stack file; or change `image` "
                "there, and `pulumi up` replaces the replicas one after the other"
            )
        return Standing(settings=settings, model=model, rollout=model.rollout)


def _without_release(text: str, model: str) -> tuple[object, bool]:
    """Return what a text says beside a model's release and candidate, and whether there is a candidate."""
    document: Any = stack_yaml.load(text)
    entry = next(entry for entry in document["config"][_MODELS] if entry["name"] == model)
    candidate = entry["rollout"].pop("candidate", None)
    for key in Release.model_fields:
        entry.pop(key, None)
    return document, candidate is not None
