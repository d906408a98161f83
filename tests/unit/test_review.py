"""The comment of a review: what stands in it, what never does, its size, and which stacks it is about."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ops.cost.report import report
from ops.other_side import git
from ops.review import command
from ops.review.comment import MARKER, StackReview, comment
from ops.review.text import LIMIT, MASK, cut, difference, fenced, masked, one_line, shares
from settings import load_stack_file
from tests.clones import commit, make_clone, replace
from tests.unit.test_cost import elsewhere

pytestmark = pytest.mark.unit

BASE, HEAD = "a" * 40, "b" * 40


def side(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - a part of a document
    """One side of a stack as a side's own code describes it."""
    return {
        "form": 1,
        "stack": "prod",
        "problem": None,
        "files": {"kubernetes/a.yaml": "kind: A\nreplicas: 3\n"},
        "policies": {"refused": False, "rules": 20, "violations": []},
        "summary": {"models": [], "pools": []},
        "cost": None,
        **changes,
    }


def reviewed(before: Any, after: Any, **more: Any) -> StackReview:  # noqa: ANN401 - as above
    return StackReview(stack="prod", before=before, after=after, **more)


def test_what_changes_stands_in_it_and_nothing_else() -> None:
    same = {"kubernetes/b.yaml": "kind: B\n"}
    before = side(files={"kubernetes/a.yaml": "replicas: 3\n", **same})
    after = side(files={"kubernetes/a.yaml": "replicas: 4\n", **same})
    text = comment(BASE, HEAD, [reviewed(before, after)])
    assert text.startswith(f"{MARKER}\n")
    assert "-replicas: 3\n+replicas: 4" in text
    assert "b.yaml" not in text
    assert "| changes | 0 new, 1 changed, 0 removed of 2 files |" in text


@pytest.mark.parametrize("lines", [100, 100_000])
def test_it_is_never_longer_than_github_takes(lines: int) -> None:
    many = "\n".join(f"line {number} äöü" for number in range(lines))
    reviews = [
        StackReview(
            stack=name,
            before=side(files={"a": ""}),
            after=side(files={"a": many}),
            results={"rehearsal": many, "preview": "short"},
        )
        for name in ("dev", "staging", "prod")
    ]
    text = comment(BASE, HEAD, reviews)
    assert len(text.encode()) <= LIMIT
    assert text.count("<details>") == text.count("</details>") == 9
    assert text.count("short") == 3
    assert ("lines are left out" in text) == (lines > 100)


def test_text_of_others_can_not_leave_its_fence_nor_call_anybody() -> None:
    bad = "```\n</details>\n@everyone\n<!-- x -->\n````\n"
    assert fenced(bad).startswith("`````\n")
    assert fenced(bad).endswith("\n`````")
    said = one_line("a|b\n@all <b>#1 `c`")
    assert "\n" not in said
    assert "@all" not in said
    assert "<b" not in said
    assert "\\|" in said


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "v1:" + "abcdefgh1234" + ":" + "QUJDREVGR0g=",
        "pul-" + "0" * 40,
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "eyJhbGciOiJ" + ".eyJzdWIiOiJ4" + ".c2lnbmF0dXJl",
    ],
)
def test_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    after = side(files={"a": f"value: {secret}\n"}, problem=None)
    text = comment(BASE, HEAD, [reviewed(side(), after, results={"preview": f"log {secret}"})])
    assert secret not in text
    assert MASK in text


def test_values_of_this_process_that_are_called_secret_are_masked() -> None:
    environment = {"SOME_TOKEN": "correct-horse", "SHORT_TOKEN": "abc", "HOME": "/home/somebody"}
    assert masked("correct-horse abc /home/somebody", environment) == f"{MASK} abc /home/somebody"


def test_what_can_not_be_deployed_is_refused_and_said() -> None:
    broken = reviewed(side(), side(problem="1 problem in its settings", files={}))
    violation = {"level": "mandatory", "rule": "image-by-digest", "message": "write a digest"}
    ruled = reviewed(side(), side(policies={"refused": True, "rules": 20, "violations": [violation]}))
    fine = reviewed(side(), side())
    assert [one.refused for one in (broken, ruled, fine)] == [True, True, False]
    text = comment(BASE, HEAD, [broken, ruled])
    assert "1 problem in its settings" in text
    assert "mandatory image-by-digest: write a digest" in text


def test_room_is_divided_so_that_the_short_stay_whole() -> None:
    assert shares([10, 1000, 20, 1000], 430) == [10, 200, 20, 200]
    assert cut("a\nb\nc", 4) == "a\nb\n… 1 lines are left out"
    assert difference({"x": "1"}, {"x": "1", "y": "2"}).keys() == {"y"}


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    return make_clone(root, tmp_path / "clone")


def test_a_stack_is_touched_by_its_file_and_all_by_what_all_are_made_of(clone: Path) -> None:
    def touched() -> tuple[str, ...]:
        commit(clone)
        return command.touched(clone, *command.sides(clone, "HEAD~1", "HEAD"))

    (clone / "docs").mkdir()
    (clone / "docs" / "a.md").write_text("text", encoding="utf-8")
    assert touched() == ()
    replace(clone / "Pulumi.dev.yaml", "kind: off", "kind:  off")
    assert touched() == ("dev",)
    (clone / "components" / "new.py").write_text("", encoding="utf-8")
    assert touched() == ("dev", "local", "prod", "staging")


def test_what_others_did_on_the_base_meanwhile_is_no_change(clone: Path) -> None:
    git(clone, "checkout", "--quiet", "-b", "mine")
    replace(clone / "Pulumi.dev.yaml", "kind: off", "kind:  off")
    commit(clone)
    git(clone, "checkout", "--quiet", "main")
    replace(clone / "Pulumi.prod.yaml", "environment: prod", "environment:  prod")
    commit(clone)
    assert command.touched(clone, *command.sides(clone, "main", "mine")) == ("dev",)


def test_what_has_no_list_price_is_no_saving(root: Path) -> None:
    path, today = root / "Pulumi.staging.yaml", dt.date(2026, 8, 1)
    here, there = (report("staging", one, today) for one in (load_stack_file(path), elsewhere(path)))
    unpriced = "no list price, and in no sum: "
    for before, after, where in ((here, there, "after"), (there, here, "before")):
        text = comment(BASE, HEAD, [reviewed(side(cost=before), side(cost=after))])
        (row,) = [line for line in text.splitlines() if line.startswith("| cost |")]
        assert row.startswith("| cost | not known: no list price, and in no sum: ")
        assert f"({where})" in row
        assert "-" + f"{here['total']['expected']:,.2f}" not in text
    (row,) = [
        line
        for line in comment(BASE, HEAD, [reviewed(None, side(cost=there))]).splitlines()
        if line.startswith("| cost |")
    ]
    assert f"USD a month expected; {unpriced}" in row
