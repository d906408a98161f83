"""`vp review BASE HEAD`: the comment on a change, made here as the pull request's workflow makes it."""

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from ops.other_side import Side, commit_of, git, other_side
from ops.review.comment import StackReview, comment
from ops.review.side import FORM
from rehearsal.errors import UserError

_STACK_FILE: Final = re.compile(r"Pulumi\.([A-Za-z0-9][A-Za-z0-9_-]*)\.yaml")
# What decides about every stack. Docs, tests and the like decide about none.
_OF_ALL: Final = (
    *("__main__.py", "Pulumi.yaml", "requirements.txt"),
    *("components/", "settings/", "policies/", "ops/", "docker/", "dashboards/"),
)
RESULTS: Final = ("rehearsal", "preview")
"""What others may have found out about a stack: files STACK.rehearsal.txt and STACK.preview.txt of a folder."""


def review(
    root: Path, base: str, head: str, *, stacks: Sequence[str] = (), results: Path | None = None
) -> tuple[str, bool]:
    """Return the comment on what `head` changes since it left `base`, and whether a stack is refused.

    stacks: instead of those that the change touches. Raises UserError where git or a side does not do its part.
    """
    before, after = sides(root, base, head)
    found = tuple(stacks) or touched(root, before, after)
    if not found:
        return comment(before, after, []), False
    # The pool last to end: what the sides' ends stop are the processes that its threads wait for.
    with (
        ThreadPoolExecutor(max_workers=2) as pool,
        other_side(root, before) as old,
        other_side(root, after) as new,
    ):
        jobs = {(name, side.commit): pool.submit(_look, side, name) for name in found for side in (old, new)}
        looked = {key: job.result() for key, job in jobs.items()}
    reviews = [
        StackReview(
            stack=name,
            before=looked[name, before][0],
            after=looked[name, after][0],
            why=looked[name, before][1],
            results=_results(results, name),
        )
        for name in found
    ]
    return comment(before, after, reviews), any(one.refused for one in reviews)


def sides(root: Path, base: str, head: str) -> tuple[str, str]:
    """Return the commit at which `head` left `base`, and its own: what others did on `base` meanwhile is not its change."""
    after = commit_of(root, head)
    return git(root, "merge-base", commit_of(root, base), after).strip(), after


def touched(root: Path, before: str, after: str) -> tuple[str, ...]:
    """Return the stacks that a change can be about: by their file, or all where it changes what all are made of."""
    changed = git(root, "diff", "--name-only", "--no-renames", "--relative", before, after).splitlines()
    own = {match[1] for name in changed if (match := _STACK_FILE.fullmatch(name))}
    listed = git(root, "ls-tree", "--name-only", after).splitlines()
    there = {match[1] for name in listed if (match := _STACK_FILE.fullmatch(name))}
    of_all = any(
        name == one or (one.endswith("/") and name.startswith(one)) for name in changed for one in _OF_ALL
    )
    return tuple(sorted(own | there if of_all else own))


def _look(side: Side, stack: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return what a side's own code says of a stack, or None and why it says nothing."""
    if not (side.root / f"Pulumi.{stack}.yaml").is_file():
        return None, f"there is no stack {stack} at {side.ref[:12]}"
    if not (side.root / "ops" / "review").is_dir():
        return None, f"the code of {side.ref[:12]} has no `vp review`"
    done = side.python("-m", "ops.review.side", stack)
    if done.status != 0:
        raise UserError(f"{stack} of {side.ref[:12]} can not be looked at:\n{done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found.get("form") != FORM:
        return None, f"the code of {side.ref[:12]} describes a stack in another form"
    return found, ""


def _results(folder: Path | None, stack: str) -> dict[str, str]:
    """Return what lies in a folder of results about a stack."""
    if folder is None:
        return {}
    files = {name: folder / f"{stack}.{name}.txt" for name in RESULTS}
    return {
        name: file.read_text(encoding="utf-8", errors="replace")
        for name, file in files.items()
        if file.is_file()
    }
