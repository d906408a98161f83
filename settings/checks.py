"""All checks that look across sections."""

from settings.draft import Draft
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return every problem of a draft."""
    del draft
    return []
