"""The workflows: code of others never runs with rights, actions are pinned, and the scripts that they call do their part."""

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

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


@pytest.mark.parametrize(("command", "status"), [("echo fine", 0), ("echo broken >&2; exit 3", 3)])
def test_a_result_is_kept_and_its_status_is_the_command_s(tmp_path: Path, command: str, status: int) -> None:
    done = script("result", tmp_path, "rehearsal", "prod", "bash", "-c", command)
    kept = (tmp_path / "results" / "prod.rehearsal.txt").read_text(encoding="utf-8")
    assert done.returncode == status
    assert kept.splitlines()[0] in command
    assert ("ended with status 3" in kept) == (status == 3)


def test_pulumi_is_called_on_the_state_of_the_stack_s_own_file(root: Path, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "pulumi"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@" >>"$CALLS"\n', encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    calls = tmp_path / "calls"
    os.environ["CALLS"] = str(calls)
    try:
        done = script("pulumi", root, "prod", "preview", "--diff", path=fake.parent)
    finally:
        del os.environ["CALLS"]
    assert done.returncode == 0, done.stderr
    login, preview = calls.read_text(encoding="utf-8").splitlines()
    assert login == "login --non-interactive s3://acme-llm-pulumi-state?region=us-east-1"
    assert preview.startswith("preview --diff --non-interactive --stack prod")
    assert ("--policy-pack policies" in preview) == (root / "policies" / "PulumiPolicy.yaml").is_file()
