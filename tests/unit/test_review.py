"""The comment of a review: what stands in it, what never does, its size, and which stacks it is about."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from ops.cost.report import report
from ops.other_side import git
from ops.review import command
from ops.review.comment import MARKER, StackReview, comment
from ops.review.text import (
    LIMIT,
    MASK,
    cut,
    difference,
    fenced,
    masked,
    one_line,
    printed,
    shares,
)
from rehearsal.errors import UserError
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
        "hf_" + "aB3" * 11,
        "xoxb-" + "123456789012-abcdefghijkl",
        "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
        "u:hunter2" + "@db/x",
        "user:pw" + "@host",
    ],
)
def test_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    written = f"https://{secret}" if "@" in secret else secret
    after = side(files={"a": f"value: {written}\n"}, problem=None)
    text = comment(BASE, HEAD, [reviewed(side(), after, results={"preview": f"log {written}"})])
    assert secret not in text
    assert text.count(MASK) == 2


@pytest.mark.parametrize(
    "line",
    [
        "aws_secret_access_key=hunter2/abc+def",
        "aws_secret_access_key = hunter2,x;y",
        '  "password": "hunter2 with spaces",',
        "client_secret: 'hunter2'",
        "adminPassword: hunter2",
        "DB_PASSWORD=hunter2",
        "API-KEY: hunter2",
        "login --password hunter2 --user x",
        "Authorization: Bearer hunter2hunter2hunter2",
        "auth\x1b[1mToken\x1b[0m: hunter2",
    ],
)
def test_in_what_a_command_printed_values_under_the_name_of_a_secret_are_masked(line: str) -> None:
    text = comment(BASE, HEAD, [reviewed(side(), side(), results={"rehearsal": f"one\n{line}\nlast"})])
    assert "hunter2" not in text
    assert MASK in text
    assert "one\n" in text
    assert "\nlast" in text


@pytest.mark.parametrize(
    "line",
    [
        "+ kubernetes:core/v1:Secret (create)",
        "[urn=urn:pulumi:prod::vllm-platform::kubernetes:core/v1:Secret::hub-token]",
        "    automountServiceAccountToken: false",
        "    secretName: llm-tls",
        '    existingSecret: "grafana-login"',
        "    secret    : {",
        "`automountServiceAccountToken: false`: the pods have none",
        "fix: pulumi config set --secret slack_url",
        'valuePrefix: "Bearer "',
        "a bearer authentication-scheme",
        "    token     : [secret]",
        "    password: ${VAULT_PASSWORD}",
        "    max_tokens: 4096, tokens_per_second=1000",
        "    valueFrom: {secretKeyRef: {key: hub_token, name: x}}",
        "    image: registry.internal:5000/llm/x:v1@sha256:" + "ab" * 32,
        "https://login.example.com:8443/path?x=1 and ssh://git@host/x",
        "error: the token was refused, and no password is set",
        "from huggingface_hub import hf_hub_download",
        "Duration: 12s, 3 changed",
    ],
)
def test_ordinary_text_stays_as_it_is(line: str) -> None:
    assert printed(line) == line


def test_a_key_of_which_only_the_end_has_room_is_masked() -> None:
    key = "-----BEGIN PRIVATE " + "KEY-----\n" + "MIIE\n" * 30_000 + "-----END PRIVATE KEY-----\n"
    text = comment(BASE, HEAD, [reviewed(side(), side(), results={"preview": f"{key}the last line"})])
    assert "MIIE" not in text
    assert "the last line" in text


def test_a_failure_is_said_and_refused_and_shown_by_its_last_lines() -> None:
    log = "\n".join(f"line {number}" for number in range(100_000))
    failed = reviewed(side(), side(), results={"rehearsal": f"{log}\nerror: it broke\nended with status 3\n"})
    fine = reviewed(side(), side(), results={"rehearsal": f"{log}\nended with status 3\nready\n"})
    empty = reviewed(side(), side(), results={"preview": ""})
    assert [one.refused for one in (failed, fine, empty)] == [True, False, False]
    text = comment(BASE, HEAD, [failed])
    assert "| rehearsal | **failed** (status 3), see below |" in text
    assert "lines are left out\n" in text
    assert "\nerror: it broke\nended with status 3\n```" in text
    assert "line 0\n" not in text
    assert "| rehearsal | passed, see below |" in comment(BASE, HEAD, [fine])
    assert "| preview | passed, and printed nothing |" in comment(BASE, HEAD, [empty])


def test_a_result_that_should_be_there_and_is_not_is_said(tmp_path: Path) -> None:
    (tmp_path / "prod.rehearsal.txt").write_text("ready\n", encoding="utf-8")
    found = command.results_of(tmp_path, "prod", expected=("rehearsal", "preview"))
    assert found == {"rehearsal": "ready\n", "preview": None}
    assert command.results_of(tmp_path, "prod") == {"rehearsal": "ready\n"}
    text = comment(BASE, HEAD, [reviewed(side(), side(), results=found)])
    assert "| preview | **not run**: it ended before it could say anything |" in text
    assert "<summary>preview</summary>" not in text
    with pytest.raises(UserError, match=r"no result is called rehersal(?s:.*)rehearsal, preview"):
        command.review(tmp_path, "HEAD", "HEAD", expected=["rehersal"])


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
    assert cut("a\nb\nc", 4, keep="end") == "… 1 lines are left out\nb\nc"
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
    shutil.copy(clone / "Pulumi.prod.yaml", clone / "Pulumi.prod.eu.yaml")
    assert touched() == ("prod.eu",)


def test_a_stack_that_is_gone_is_in_the_comment_and_in_no_job(clone: Path) -> None:
    (clone / "Pulumi.staging.yaml").unlink()
    replace(clone / "Pulumi.dev.yaml", "kind: off", "kind:  off")
    replace(clone / "Pulumi.prod.yaml", "environment: prod", "environment:  prod")
    replace(clone / "Pulumi.local.yaml", "environment: dev", "environment:  dev")
    commit(clone)
    before, after = command.sides(clone, "HEAD~1", "HEAD")
    assert command.touched(clone, before, after) == ("dev", "local", "prod", "staging")
    # Dev says nothing of where its state is kept, and local is a rehearsal's.
    assert command.there(clone, before, after) == ("dev", "local", "prod")
    assert command.there(clone, before, after, deployable=True) == ("prod",)


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
