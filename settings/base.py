"""What every settings type shares: frozen, no unknown keys, and errors that carry their own fix."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A part of a stack file. Frozen: a setting is read once and never changed, only copied.

    known_mistakes: keys that are often written here and can not work; for each the reason, and what to write instead.
    """

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = {}

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refusal(reason: str, fix: str) -> PydanticCustomError:
    """Make a validation error that says what is wrong and what to write instead.

    The texts travel in the context, not in the template: a brace in a value is no placeholder.
    """
    context: dict[str, Any] = {"reason": reason, "fix": fix}
    return PydanticCustomError("refusal", "{reason}", context)
