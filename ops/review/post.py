"""Puts a comment that another workflow made on its pull request: `python -m ops.review.post FOLDER`.

Runs with the right to write, so it runs code of the default branch alone. What lies in FOLDER was made by code of whoever
opened the pull request: it is data, and nothing of it is believed. The number is believed when GitHub says that this pull
request's head is the commit, of the repository, that the other workflow ran for.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from ops.review.comment import MARKER
from ops.review.text import LIMIT
from rehearsal.errors import UserError

COMMENT_FILE: Final = "comment.md"
NUMBER_FILE: Final = "number"
_AUTHOR: Final = "github-actions[bot]"
_PAGE: Final = 100
_PAGES: Final = 50
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}\n?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run that made the comment, as GitHub says: of which commit, in which repository; `repository` is this one."""

    repository: str
    commit: str
    head_repository: str


def post(folder: Path, run: Run, client: httpx.Client) -> str:
    """Make the comment, or replace the one of before. Return its address. Raises UserError for anything that is not right."""
    text, number = read(folder)
    _believe(number, run, client)
    body = {"body": text}
    comments = f"/repos/{run.repository}/issues/{number}/comments"
    earlier = _earlier(comments, client)
    own = f"/repos/{run.repository}/issues/comments/{earlier}"
    done = client.post(comments, json=body) if earlier is None else client.patch(own, json=body)
    return str(_answer(done)["html_url"])


def read(folder: Path) -> tuple[str, int]:
    """Return text and number. Raises UserError for what no comment of ours is."""
    files = {name: folder / name for name in (COMMENT_FILE, NUMBER_FILE)}
    for name, file in files.items():
        if file.is_symlink() or not file.is_file():
            raise UserError(f"the artifact has no file {name}")
        if file.stat().st_size > LIMIT:
            raise UserError(f"{name} of the artifact is larger than a comment may be")
    try:
        text, number = (file.read_text(encoding="utf-8") for file in files.values())
    except UnicodeDecodeError:
        raise UserError("a file of the artifact is no text") from None
    if not text.startswith(f"{MARKER}\n"):
        raise UserError("the comment of the artifact does not begin with its mark")
    if not _NUMBER.fullmatch(number):
        raise UserError("the number of the artifact is none")
    return text, int(number)


def _believe(number: int, run: Run, client: httpx.Client) -> None:
    """Raise UserError unless the pull request is of the very commit that the other workflow ran for."""
    found = _answer(client.get(f"/repos/{run.repository}/pulls/{number}"))
    head: Mapping[str, Any] = found["head"]
    # A fork that was deleted has none.
    own: Mapping[str, Any] | None = head.get("repo")
    repository = own["full_name"] if own else None
    if head["sha"] != run.commit or repository != run.head_repository:
        raise UserError(f"pull request {number} is not of the commit that was reviewed: nothing was written")
    if found["state"] != "open":
        raise UserError(f"pull request {number} is not open any more: nothing was written")


def _earlier(comments: str, client: httpx.Client) -> int | None:
    """Return the comment of before: it has the mark, and it is ours."""
    for page in range(1, _PAGES + 1):
        found: Any = _answer(client.get(comments, params={"per_page": _PAGE, "page": page}))
        for one in found:
            if one["user"]["login"] == _AUTHOR and str(one["body"]).startswith(MARKER):
                return int(one["id"])
        if len(found) < _PAGE:
            return None
    return None


def _answer(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    if response.is_error:
        raise UserError(
            f"GitHub says {response.status_code} to {response.request.method} {response.url.path}"
        )
    return response.json()


def run_of(environment: Mapping[str, str]) -> Run:
    """Read what GitHub says of the other run. Raises UserError for what it never says."""
    found = Run(
        repository=environment.get("GITHUB_REPOSITORY", ""),
        commit=environment.get("REVIEWED_COMMIT", ""),
        head_repository=environment.get("REVIEWED_REPOSITORY", ""),
    )
    right = (
        _REPOSITORY.fullmatch(found.repository),
        _COMMIT.fullmatch(found.commit),
        _REPOSITORY.fullmatch(found.head_repository),
    )
    if not all(right):
        raise UserError(f"this is no run that follows another: {json.dumps(vars(found))}")
    return found


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Return the exit status: 1 where nothing was written, with the reason on stderr."""
    headers = {
        "Authorization": f"Bearer {environment.get('GITHUB_TOKEN', '')}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    try:
        run = run_of(environment)
        with httpx.Client(
            base_url=environment["GITHUB_API_URL"], headers=headers, timeout=_TIMEOUT_SECONDS
        ) as client:
            address = post(Path(arguments[0]), run, client)
    except (UserError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(address)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
