"""What is wrong with a stack file, said so that it can be repaired: where, what, why, and the fix."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

# A value is there to be recognised, not read in full: a pasted certificate would hide the reason.
VALUE_SHOWN: Final = 80


@dataclass(frozen=True)
class Problem:
    """One refusal.

    path: where in the stack file, e.g. `models[qwen-7b-vllm].engine.max_model_len`.
    value: what stands there; None where nothing does.
    reason: why it can not be deployed.
    fix: what to write instead.
    """

    path: str
    value: object
    reason: str
    fix: str

    @property
    def shown_value(self) -> str:
        """The value in one short line, with secrets left out."""
        return show(self.value)

    def __str__(self) -> str:
        """Two lines: what is wrong, and the fix."""
        found = "" if self.value is None else f" (found {self.shown_value})"
        return f"{self.path}: {self.reason}{found}\n    fix: {self.fix}"


class SettingsError(Exception):
    """Everything that is wrong with one stack's settings, at once."""

    def __init__(self, stack: str, problems: Iterable[Problem]) -> None:
        """Keep the problems in the order in which they were found."""
        self.stack = stack
        self.problems = tuple(problems)
        super().__init__(stack, self.problems)

    def __str__(self) -> str:
        """One text for the terminal, for Pulumi's diagnostics and for a pull request."""
        count = len(self.problems)
        problems = "1 problem" if count == 1 else f"{count} problems"
        head = f"stack {self.stack}: {problems} in its settings, nothing was deployed"
        return "\n".join(
            [head, *(f"  {index}. {problem}" for index, problem in enumerate(self.problems, start=1))]
        )


def is_secret(value: object) -> bool:
    """Tell whether a value is an encrypted secret of Pulumi's."""
    return isinstance(value, dict) and set(cast("dict[Any, Any]", value)) == {"secure"}


def show(value: object) -> str:
    """Write a value in at most VALUE_SHOWN characters, never a secret's cipher text."""
    if is_secret(value):
        return "a secret"
    text = " ".join(repr(value).split())
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 3]}..."
