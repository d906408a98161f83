"""Where the project's checkout is."""

from functools import cache
from pathlib import Path

from rehearsal.errors import UserError

# Both: a rehearsal's project folder has a Pulumi.yaml too, and lies inside a checkout.
_MARKS = ("Pulumi.yaml", "pyproject.toml")


@cache
def project_root() -> Path:
    """The checkout that the current folder lies in, as git and make would find it; outside of any, the one this package lies in.

    :raises UserError: there is none.
    """
    current = Path.cwd()
    for folder in (current, *current.parents, Path(__file__).resolve().parent.parent):
        if all((folder / mark).is_file() for mark in _MARKS):
            return folder
    raise UserError(f"No checkout of vllm-platform at {current} or above it: run this inside one.")
