"""A repository of its own with this project's code in one commit, for tests of what compares commits."""

import shutil
from pathlib import Path

from ops.other_side import git

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@localhost")
SOURCES = ("settings", "ops", "rehearsal", "components", "docker", "policies", "dashboards")
FILES = ("__main__.py", "Pulumi.yaml", "pyproject.toml")


def make_clone(root: Path, place: Path) -> Path:
    """Copy the project's code to `place` and commit it."""
    for name in SOURCES:
        if (root / name).is_dir():
            shutil.copytree(root / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*(root / name for name in FILES), *root.glob("Pulumi.*.yaml")):
        shutil.copy(file, place / file.name)
    git(place, "init", "--quiet", "--initial-branch", "main")
    commit(place)
    return place


def commit(place: Path) -> None:
    """Commit everything."""
    git(place, "add", "--all")
    git(place, *IDENTITY, "commit", "--quiet", "--message", "a state")


def replace(file: Path, old: str, new: str) -> None:
    """Change a file. Fails where the old text is not there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
