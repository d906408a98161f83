"""What is done about a run of Pulumi that was killed."""

import json
import os
from pathlib import Path
from typing import Final

import psutil
import pytest

from rehearsal.errors import UserError
from rehearsal.recovery import recover, with_begun

STATE: Final = {"version": 3, "latest": "nothing"}
# Higher than any process id of Linux can be.
NOBODY = 2**22 + 1


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / ".pulumi" / "stacks" / "vllm-platform" / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(STATE))
    return file


def _lock(state: Path, pid: int) -> Path:
    lock = state / ".pulumi" / "locks" / "organization" / "vllm-platform" / "dev" / "x.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": pid}))
    return lock


def _pulumi(_: psutil.Process) -> str:
    return "pulumi"


def test_without_a_killed_run_nothing_is_touched(tmp_path: Path, checkpoint: Path) -> None:
    assert recover(tmp_path, "dev") == []
    assert checkpoint.exists()


def test_the_lock_of_a_dead_process_goes(tmp_path: Path, checkpoint: Path) -> None:
    lock = _lock(tmp_path, NOBODY)
    assert recover(tmp_path, "dev") == ["removed the lock of an earlier run of dev that was killed"]
    assert not lock.exists()
    assert json.loads(checkpoint.read_text()) == STATE


def test_beside_a_run_that_lives_it_refuses(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = _lock(tmp_path, os.getpid())
    monkeypatch.setattr("psutil.Process.name", _pulumi)
    with pytest.raises(UserError, match=rf"process {os.getpid()}\) works on stack dev"):
        recover(tmp_path, "dev")
    assert lock.exists()
    assert checkpoint.exists()


def test_what_was_being_made_is_looked_for_and_a_wait_begins_again() -> None:
    metadata = {"name": "chat", "namespace": "llm"}
    kinds = ("serving.kserve.io/v1beta1:InferenceService", "apps/v1:DeploymentPatch", "helm.sh/v3:Release")
    operations = [
        {
            "type": "creating",
            "resource": {"urn": kind, "type": f"kubernetes:{kind}", "inputs": {"metadata": metadata}},
        }
        for kind in kinds
    ]
    found = with_begun({"resources": [], "pending_operations": operations})
    assert [(one["urn"], one["id"]) for one in found["resources"]] == [(kinds[0], "llm/chat")]
    assert found["pending_operations"] == []
