"""The release notes of a stack, `releases/STACK.md`: what came when, from where, and what was known of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

FOLDER: Final = "releases"
_ENTRY: Final = "## "


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry. title: what happened. facts: what is known of it. changes: what differs from before, a line each."""

    at: datetime
    title: str
    facts: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        """As it is written."""
        lines = [f"{_ENTRY}{self.at:%Y-%m-%d %H:%M} UTC: {self.title}", "", *_bullets(self.facts)]
        return "\n".join([*lines, "", "Changes:", "", *_bullets(self.changes), ""])

    @property
    def message(self) -> str:
        """As a commit says it, behind its first line."""
        return "\n".join([*_bullets(self.facts), "", *_bullets(self.changes)])


def notes_of(stack: str) -> str:
    """Return the name of the file, from the project's folder."""
    return f"{FOLDER}/{stack}.md"


def with_entry(text: str | None, stack: str, entry: Entry) -> str:
    """Return the notes with an entry more, in front of the others."""
    text = text or f"# Releases of {stack}\n\nThe newest first. `vp promote` and `vp rollback` write it.\n"
    head, mark, rest = text.partition(f"\n{_ENTRY}")
    return f"{head.rstrip()}\n\n{entry}" + (f"{mark}{rest}" if mark else "")


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]
