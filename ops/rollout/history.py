"""The stack file's history: every move of a rollout is a commit of that one file."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rehearsal.errors import UserError

# Hooks of a repository may lint what is committed.
GIT_SECONDS: Final = 120


@dataclass(frozen=True, kw_only=True)
class History:
    """The git checkout that a stack file lies in."""

    file: Path

    @staticmethod
    def of(file: Path) -> "History | None":
        """Return the history of a file; None where there is no git, no checkout, or the file is not in it."""
        found = History(file=file.resolve())
        try:
            return found if found._git("ls-files", "--error-unmatch", file.name).returncode == 0 else None
        except FileNotFoundError:
            return None

    def committed(self) -> str | None:
        """Return the file's text in the last commit; None before the first one."""
        done = self._git("show", f"HEAD:./{self.file.name}")
        return done.stdout.decode("utf-8") if done.returncode == 0 else None

    def commit(self, message: str) -> None:
        """Commit the file as it is, and nothing else that may be staged. Nothing to commit is no error. Raises UserError."""
        if self._git("diff", "--quiet", "HEAD", "--", self.file.name).returncode == 0:
            return
        done = self._git("commit", "--quiet", "--only", "--message", message, "--", self.file.name)
        if done.returncode:
            said = (done.stderr + done.stdout).decode("utf-8", errors="replace").strip()
            raise UserError(
                f"git did not commit {self.file.name}: {said}\n"
                "fix: the file holds the step already. Put right what git says, and run the same command again."
            )

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments],  # noqa: S607 - the git of whoever runs this
            cwd=self.file.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
        )
