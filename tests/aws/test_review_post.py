"""The comment is put on its pull request by a server's word, never by the artifact's: a server on loopback plays GitHub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ops.review.comment import MARKER
from ops.review.post import main
from ops.review.text import LIMIT
from tests import loopback

pytestmark = pytest.mark.aws

COMMIT, FORK, HERE = "c" * 40, "somebody/platform", "company/platform"


class GitHub:
    """Pull requests and comments, and what was written."""

    def __init__(self) -> None:
        self.pulls: dict[int, dict[str, Any]] = {
            7: {"state": "open", "head": {"sha": COMMIT, "repo": {"full_name": FORK}}},
            6: {"state": "open", "head": {"sha": "e" * 40, "repo": {"full_name": FORK}}},
            8: {"state": "open", "head": {"sha": "d" * 40, "repo": {"full_name": HERE}}},
        }
        self.comments: list[dict[str, Any]] = []
        self.written: list[tuple[str, str]] = []
        self.address = ""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        parts = path.strip("/").split("/")
        if parts[:3] != ["repos", *HERE.split("/")]:
            return 404, {}
        if parts[3] == "pulls":
            found = self.pulls.get(int(parts[4]))
            return (200, found) if found else (404, {})
        if method == "GET":
            page = int(dict(one.split("=") for one in query.split("&"))["page"])
            return 200, self.comments[(page - 1) * 100 : page * 100]
        self.written.append((f"{method} {path}", body["body"]))
        return 200, {"html_url": "https://localhost/comment"}


@pytest.fixture
def github() -> Iterator[GitHub]:
    played = GitHub()

    class Handler(loopback.Quiet):
        there: ClassVar[GitHub] = played

        def _any(self) -> None:
            assert self.headers["Authorization"] == "Bearer testing"
            length = int(self.headers.get("Content-Length", 0))
            body: dict[str, Any] = json.loads(self.rfile.read(length)) if length else {}
            status, found = self.there.answer(self.command, self.path, body)
            self.write(status, json.dumps(found).encode())

        do_GET = do_POST = do_PATCH = _any  # noqa: N815 - the names are the library's

    with loopback.serving(Handler) as played.address:
        yield played


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "comment.md").write_text(f"{MARKER}\ntext\n", encoding="utf-8")
    (tmp_path / "number").write_text("7\n", encoding="utf-8")
    return tmp_path


def posted(github: GitHub, folder: Path, **changes: str) -> int:
    return main(
        [str(folder)],
        {
            "GITHUB_API_URL": github.address,
            "GITHUB_TOKEN": "testing",
            "GITHUB_REPOSITORY": HERE,
            "REVIEWED_COMMIT": COMMIT,
            "REVIEWED_REPOSITORY": FORK,
            **changes,
        },
    )


def test_the_first_comment_is_made(github: GitHub, folder: Path) -> None:
    assert posted(github, folder) == 0
    assert github.written == [(f"POST /repos/{HERE}/issues/7/comments", f"{MARKER}\ntext\n")]


def test_the_next_one_replaces_it_though_others_copied_the_mark(github: GitHub, folder: Path) -> None:
    def one(number: int, login: str, body: str) -> dict[str, Any]:
        return {"id": number, "user": {"login": login}, "body": body}

    github.comments = [one(number, "somebody", f"{MARKER}\nmine") for number in range(150)]
    github.comments.append(one(900, "github-actions[bot]", f"{MARKER}\nof before"))
    assert posted(github, folder) == 0
    assert github.written == [(f"PATCH /repos/{HERE}/issues/comments/900", f"{MARKER}\ntext\n")]


@pytest.mark.parametrize("number", ["6\n", "8\n", "9\n", "7; echo", "-7", "../7", "", "7\n7\n"])
def test_a_number_that_is_not_of_the_reviewed_commit_writes_nothing(
    github: GitHub, folder: Path, number: str
) -> None:
    (folder / "number").write_text(number, encoding="utf-8")
    assert posted(github, folder) == 1
    assert github.written == []


def test_a_commit_of_the_same_hash_in_another_repository_is_another_pull_request(
    github: GitHub, folder: Path
) -> None:
    assert posted(github, folder, REVIEWED_REPOSITORY="else/platform") == 1
    assert github.written == []


def test_a_pull_request_that_was_closed_gets_no_comment(github: GitHub, folder: Path) -> None:
    github.pulls[7]["state"] = "closed"
    assert posted(github, folder) == 1
    assert github.written == []


@pytest.mark.parametrize("text", ["text without a mark", f"{MARKER}\n{'x' * LIMIT}", f" {MARKER}\n"])
def test_a_text_that_is_no_comment_of_ours_writes_nothing(github: GitHub, folder: Path, text: str) -> None:
    (folder / "comment.md").write_text(text, encoding="utf-8")
    assert posted(github, folder) == 1
    assert github.written == []


def test_a_link_to_a_file_of_the_runner_is_no_comment(github: GitHub, folder: Path, tmp_path: Path) -> None:
    (folder / "comment.md").rename(tmp_path / "elsewhere")
    (folder / "comment.md").symlink_to(tmp_path / "elsewhere")
    assert posted(github, folder) == 1
    assert github.written == []
