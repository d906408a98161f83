"""Commits that are made beside the working tree: a branch for a pull request, without a checkout and without hooks.

Also the same commit on the branch that is checked out, for what shall be deployed at once.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.promotion.updates import CHARTS, IMAGES, PROGRAM
from rehearsal.errors import UserError

GIT_SECONDS: Final = 120
NAMED: Final = 10
"""Files that a refusal names; of more it says how many."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The git checkout that the stack files lie in. root: the project's folder."""

    root: Path

    def head(self) -> str:
        """Return the commit that is checked out. Raises UserError outside of a checkout, and before the first commit."""
        return self._git("rev-parse", "--verify", "HEAD^{commit}").strip()

    def text(self, name: str) -> str | None:
        """Return a file as the last commit has it; None where it has none."""
        done = self._run("show", f"HEAD:./{name}")
        return done.stdout.decode("utf-8") if done.returncode == 0 else None

    def refuse_changes(self, *names: str) -> None:
        """Raise UserError where a file differs from the last commit: what is committed is what others see."""
        changed = [name for name in names if self._bytes(name) != self.text(name)]
        if changed:
            raise UserError(
                f"{', '.join(changed)} has changes that are not committed, and a release set moves by commits.\n"
                "fix: commit or stash them"
            )

    def same_program(self, one: str, other: str) -> bool:
        """Tell whether two commits make the same charts, flags and images; False where one is not here."""
        return self._same(one, other, PROGRAM)

    def same_charts(self, one: str, other: str) -> bool:
        """Tell whether two commits install the same charts; False where one is not here."""
        return self._same(one, other, CHARTS)

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Make a commit on top of the last one that changes these files alone, and return it. No branch moves yet."""
        with tempfile.TemporaryDirectory(prefix="vllm-platform-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", "HEAD", **index)
            prefix = self._git("rev-parse", "--show-prefix").strip()
            for name, text in files.items():
                blob = self._git("hash-object", "-w", "--stdin", stdin=text).strip()
                self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{name}", **index)
            tree = self._git("write-tree", **index).strip()
        signed = self._run("config", "--type=bool", "commit.gpgsign").stdout.strip() == b"true"
        flags = ["-S"] if signed else []
        return self._git("commit-tree", *flags, "-p", self.head(), "-m", message, tree).strip()

    def branch(self, name: str, commit: str) -> None:
        """Make a branch at a commit. Raises UserError where it is there."""
        if self._run("show-ref", "--verify", "--quiet", f"refs/heads/{name}").returncode == 0:
            raise UserError(
                f"there is a branch {name} already.\nfix: merge it, or `git branch -D {name}` and run this again"
            )
        self._git("branch", "--no-track", name, commit)

    def advance(self, commit: str, names: list[str]) -> None:
        """Move the branch that is checked out on to a commit made on top of it, and bring its files to the working tree."""
        self._git("update-ref", "-m", "vp rollback --now", "HEAD", commit, self.head())
        self._git("checkout", "HEAD", "--", *names)

    def same_images(self, one: str, other: str) -> bool:
        """Tell whether two commits build images alike; False where one is not here."""
        return self._same(one, other, IMAGES)

    def refuse_any_change(self) -> None:
        """Raise UserError where anything of the project differs from the last commit, or no commit holds it."""
        listed = self._git("status", "--porcelain", "--untracked-files=all", "--no-renames", "-z", "--", ".")
        names = [entry[3:] for entry in listed.split("\0") if entry]
        if names:
            more = "" if len(names) <= NAMED else f" and {len(names) - NAMED} more"
            raise UserError(
                f"{', '.join(names[:NAMED])}{more} {'has' if len(names) == 1 else 'have'} changes that are not committed, "
                "and what is deployed at once is all that stands here.\n"
                "fix: commit or stash them, files that are new too (`git stash --include-untracked`)"
            )

    def _same(self, one: str, other: str, paths: Sequence[str]) -> bool:
        return self._run("diff", "--quiet", one, other, "--", *paths).returncode == 0

    def _bytes(self, name: str) -> str | None:
        path = self.root / name
        return path.read_bytes().decode("utf-8") if path.is_file() else None

    def _git(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        done = self._run(*arguments, stdin=stdin, **variables)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise UserError(f"`git {arguments[0]}` failed in {self.root}: {said}")
        return done.stdout.decode()

    def _run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
        # A hook that calls `vp` says by these which repository it means; the project's folder says it better.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            return subprocess.run(
                ["git", "-C", str(self.root), *arguments],  # noqa: S607 - the git of whoever runs this
                env={**environment, **_identity(), **variables},
                input=stdin.encode(),
                capture_output=True,
                check=False,
                timeout=GIT_SECONDS,
            )
        except FileNotFoundError:
            raise UserError("there is no git on PATH, and a release set moves by commits.") from None


def _identity() -> dict[str, str]:
    """Return who commits, where the environment says it: a pipeline has no other place for it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))
    }
