"""Where the project's checkout is."""

from functools import cache
from pathlib import Path

from rehearsal.errors import UserError

_MARK = "Pulumi.yaml"


@cache
def project_root() -> Path:
    """The folder with Pulumi.yaml: the one this package lies in, else the nearest above the current folder.

    :raises UserError: neither has a Pulumi.yaml.
    """
    here = Path(__file__).resolve().parent.parent
    current = Path.cwd()
    for folder in (here, current, *current.parents):
        if (folder / _MARK).is_file():
            return folder
    raise UserError(f"No {_MARK} in {current} or above it. Run this inside a checkout of vllm-platform.")
