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
from ops.stacks import is_deployable
from rehearsal.errors import UserError

_STACK_FILE: Final = re.compile(r"Pulumi\.([A-Za-z0-9][A-Za-z0-9._-]*)\.yaml")
# What decides about every stack. Docs, tests and the like decide about none.
_OF_ALL: Final = (
    *("__main__.py", "Pulumi.yaml", "requirements.txt"),
    *("components/", "settings/", "policies/", "ops/", "docker/", "dashboards/"),
)
PREVIEW: Final = "preview"
RESULTS: Final = ("rehearsal", PREVIEW)
"""What others may have found out about a stack: files STACK.rehearsal.txt and STACK.preview.txt of a folder."""


def review(
    root: Path,
    base: str,
    head: str,
    *,
    stacks: Sequence[str] = (),
    results: Path | None = None,
    expected: Sequence[str] = (),
) -> tuple[str, bool]:
    """Return the comment on what `head` changes since it left `base`, and whether a stack is refused.

    stacks: instead of those that the change touches. expected: RESULTS that must be there. Raises UserError where git or a side does not do its part.
    """
    unknown = sorted(set(expected) - set(RESULTS))
    if unknown:
        raise UserError(f"no result is called {', '.join(unknown)}.\nfix: expect one of {', '.join(RESULTS)}")
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
    # Of a stack without a state there is no preview.
    previewed = there(root, before, after, deployable=True, stacks=found)
    reviews = [
        StackReview(
            stack=name,
            before=looked[name, before][0],
            after=looked[name, after][0],
            why=looked[name, before][1],
            results=results_of(
                results, name, [one for one in expected if one != PREVIEW or name in previewed]
            ),
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
    of_all = any(
        name == one or (one.endswith("/") and name.startswith(one)) for name in changed for one in _OF_ALL
    )
    return tuple(sorted(own | _stacks_of(root, after) if of_all else own))


def there(
    root: Path, before: str, after: str, *, deployable: bool = False, stacks: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the stacks that a change touches and that are still there, for jobs that run them.

    deployable: only those that a pipeline can deploy. stacks: instead of those that the change touches.
    """
    known = _stacks_of(root, after)
    found = [name for name in (touched(root, before, after) if stacks is None else stacks) if name in known]
    return tuple(
        name
        for name in found
        if not deployable or is_deployable(git(root, "show", f"{after}:./Pulumi.{name}.yaml"))
    )


def _stacks_of(root: Path, commit: str) -> set[str]:
    listed = git(root, "ls-tree", "--name-only", commit).splitlines()
    return {match[1] for name in listed if (match := _STACK_FILE.fullmatch(name))}


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


def results_of(folder: Path | None, stack: str, expected: Sequence[str] = ()) -> dict[str, str | None]:
    """Return what lies in a folder of results about a stack; None for what is expected, and is not there."""
    if folder is None:
        return dict.fromkeys(expected)
    files = {name: folder / f"{stack}.{name}.txt" for name in RESULTS}
    return {
        name: file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
        for name, file in files.items()
        if file.is_file() or name in expected
    }
