"""The workflows: code of others never runs with rights, actions are pinned, and the scripts that they call do their part."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ops.review.comment import StackReview
from tests.clones import commit, make_clone, replace

pytestmark = pytest.mark.unit

FOLDER: Final = Path(__file__).resolve().parents[2] / ".github" / "workflows"
WORKFLOWS: Final = sorted(FOLDER.glob("*.yml"))
PINNED: Final = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def triggers(workflow: dict[Any, Any]) -> dict[str, Any]:
    return workflow[True]  # `on` is YAML's word for it


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return read(path)["jobs"]


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {path.stem for path in WORKFLOWS} == {"preview", "preview-comment", "drift", "deploy"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [one for one in used if not PINNED.fullmatch(one)] == []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert [line for line in lines if not re.search(r"# v\d", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_of_an_event_is_pasted_into_a_script(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_checkout_keeps_no_credentials(path: Path) -> None:
    checkouts = [step for step in steps(path) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_by_the_job_that_needs_them(path: Path) -> None:
    assert read(path)["permissions"] in ({}, {"contents": "read"})
    writing = {
        name: [right for right, level in job.get("permissions", {}).items() if level == "write"]
        for name, job in jobs(path).items()
    }
    may = {
        "preview": ["id-token"],
        "drift": ["id-token"],
        "deploy": ["id-token"],
        "comment": ["pull-requests"],
    }
    assert {name: rights for name, rights in writing.items() if rights} == {
        name: may[name] for name in writing if name in may
    }


def test_code_of_a_pull_request_runs_without_rights_to_write_and_forks_without_credentials() -> None:
    assert all("pull_request_target" not in triggers(read(path)) for path in WORKFLOWS)
    assert set(triggers(read(FOLDER / "preview.yml"))) == {"pull_request"}
    for job in jobs(FOLDER / "preview.yml").values():
        if job.get("permissions", {}).get("id-token") == "write":
            assert "head.repo.full_name == github.repository" in job["if"]
        assert "secrets." not in str(job)


def test_what_writes_the_comment_checks_nothing_out_that_somebody_else_made() -> None:
    assert set(triggers(read(FOLDER / "preview-comment.yml"))) == {"workflow_run"}
    (checkout,) = [
        step for step in steps(FOLDER / "preview-comment.yml") if "actions/checkout@" in step.get("uses", "")
    ]
    assert set(checkout["with"]) == {"persist-credentials"}


def script(
    name: str, folder: Path, *arguments: str, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    root = FOLDER.parents[1]
    environment = {
        **os.environ,
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}" if path else os.environ["PATH"],
    }
    return subprocess.run(
        [str(root / ".ci" / name), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "status"), [("echo fine", 0), ("echo broken >&2; exit 3", 3), ("printf 'a part'; exit 3", 3)]
)
def test_a_result_is_kept_and_its_status_is_the_command_s(tmp_path: Path, command: str, status: int) -> None:
    done = script("result", tmp_path, "rehearsal", "prod", "bash", "-c", command)
    kept = (tmp_path / "results" / "prod.rehearsal.txt").read_text(encoding="utf-8")
    assert done.returncode == status
    assert kept.splitlines()[0] in command
    assert ("ended with status 3" in kept) == (status == 3)
    # As the comment on the pull request has it.
    empty: dict[str, Any] = {"problem": None, "files": {}, "policies": None, "cost": None}
    review = StackReview(stack="prod", before=None, after=empty, results={"rehearsal": kept})
    assert review.refused == (status == 3)


def test_pulumi_is_called_on_the_state_of_the_stack_s_own_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_pulumi(tmp_path, monkeypatch)
    done = script("pulumi", root, "prod", "preview", "--diff", path=tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    login, preview = calls.read_text(encoding="utf-8").splitlines()
    assert login == "login --non-interactive s3://acme-llm-pulumi-state?region=us-east-1"
    assert preview.startswith("preview --diff --non-interactive --stack prod")
    assert ("--policy-pack policies" in preview) == (root / "policies" / "PulumiPolicy.yaml").is_file()


MATRIX: Final = re.compile(r"\$\{\{ fromJSON\(needs\.(\w+)\.outputs\.(\w+)\) \}\}")


def fake_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Pulumi on PATH that writes down how it is called. Returns that file."""
    fake = tmp_path / "bin" / "pulumi"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@" >>"$CALLS"\n', encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def output_of(job: dict[str, Any], name: str, root: Path, folder: Path, **variables: str) -> list[str]:
    """Run the step of a job that says an output, and return the list that it says."""
    match = re.fullmatch(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", job["outputs"][name])
    assert match is not None
    (step,) = [step for step in job["steps"] if step.get("id") == match[1]]
    said = folder / "output"
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", step["run"]],
        cwd=root,
        env={**os.environ, **variables, "GITHUB_OUTPUT": str(said)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("=", 1) for line in said.read_text(encoding="utf-8").splitlines())
    return json.loads(lines[match[2]])


@pytest.mark.parametrize(("name", "job"), [("deploy", "deploy"), ("drift", "drift"), ("preview", "preview")])
def test_what_calls_pulumi_has_the_stacks_that_can_be_deployed_and_they_all_get_there(
    name: str, job: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = jobs(FOLDER / f"{name}.yml")
    match = MATRIX.fullmatch(str(found[job]["strategy"]["matrix"]["stack"]))
    assert match is not None
    assert match[1] in found[job]["needs"]
    # A matrix of nothing is an error of GitHub's.
    assert f"needs.{match[1]}.outputs.{match[2]} != '[]'" in found[job]["if"]
    # A change of what all are made of.
    clone = make_clone(root, tmp_path / "clone")
    (clone / ".venv").symlink_to(root / ".venv")
    replace(clone / "settings" / "__init__.py", '"""', '"""  ')
    commit(clone)
    variables = {"BASE": "HEAD~1", "HEAD": "HEAD"} if name == "preview" else {}
    stacks = output_of(found[match[1]], match[2], clone, tmp_path, **variables)
    assert sorted(stacks) == ["prod", "staging"]
    if name != "preview":
        assert stacks == ["staging", "prod"]
    calls = fake_pulumi(tmp_path, monkeypatch)
    for stack in stacks:
        done = script("pulumi", root, stack, "preview", path=tmp_path / "bin")
        assert done.returncode == 0, done.stderr
    assert calls.read_text(encoding="utf-8").count("login ") == len(stacks)


def test_a_rule_about_the_stack_speaks_before_anything_is_made() -> None:
    runs = [step["run"] for step in jobs(FOLDER / "deploy.yml")["deploy"]["steps"] if "run" in step]
    judged, deployed = (
        next(index for index, run in enumerate(runs) if word in run) for word in ("vp policy", ".ci/pulumi")
    )
    assert judged < deployed
    assert runs[judged] == '.venv/bin/vp policy "$STACK"'
    # In the preview the engine asks the rules too, with what only it knows.
    assert all("--skip-preview" not in run for run in runs)


@pytest.mark.parametrize(
    ("rehearsal", "preview", "expected"),
    [
        ("failure", "skipped", ["--expect", "rehearsal"]),
        ("success", "cancelled", ["--expect", "rehearsal", "--expect", "preview"]),
        ("skipped", "skipped", []),
    ],
)
def test_the_comment_expects_what_was_to_run(
    tmp_path: Path, rehearsal: str, preview: str, expected: list[str]
) -> None:
    (step,) = [
        one for one in jobs(FOLDER / "preview.yml")["review"]["steps"] if "NUMBER" in one.get("env", {})
    ]
    assert (step["env"]["REHEARSAL"], step["env"]["PREVIEW"]) == (
        "${{ needs.rehearsal.result }}",
        "${{ needs.preview.result }}",
    )
    vp = tmp_path / ".venv" / "bin" / "vp"
    vp.parent.mkdir(parents=True)
    vp.write_text('#!/bin/sh\nfor one in "$@"; do echo "$one"; done >called\n', encoding="utf-8")
    vp.chmod(0o755)
    variables = {"NUMBER": "1", "BASE": "b", "HEAD": "h", "REHEARSAL": rehearsal, "PREVIEW": preview}
    subprocess.run(
        ["/bin/bash", "-e", "-c", step["run"]], cwd=tmp_path, env={**os.environ, **variables}, check=True
    )
    called = (tmp_path / "called").read_text(encoding="utf-8").split()
    assert called == ["review", "b", "h", "--results", "results", "--out", "comment/comment.md", *expected]
