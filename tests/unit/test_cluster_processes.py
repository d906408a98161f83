"""Processes are stopped by the ids that were started, and by nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rehearsal.cluster.pki import Authority
from rehearsal.cluster.processes import ProcessTable, Started

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def test_a_started_process_is_found_by_another_table_and_stopped(tmp_path: Path) -> None:
    started = ProcessTable(tmp_path / "p.json").start("one", SLEEP, log=tmp_path / "one.log", env={})
    table = ProcessTable(tmp_path / "p.json")
    assert [s.pid for s in table.started] == [started.pid]
    assert started.alive
    table.stop_all()
    assert not started.alive
    assert not (tmp_path / "p.json").exists()


def test_what_was_started_beside_others_is_stopped_alone(tmp_path: Path) -> None:
    table = ProcessTable(tmp_path / "p.json")
    first = table.start("first", SLEEP, log=tmp_path / "first.log", env={})
    second = table.start("second", SLEEP, log=tmp_path / "second.log", env={})
    table.stop_all_but([first])
    assert (first.alive, second.alive) == (True, False)
    assert ProcessTable(tmp_path / "p.json").started == [first]
    table.stop_all()


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehearsal.cluster.processes.STOP_GRACE_SECONDS", 0.3)
    table = ProcessTable(tmp_path / "p.json")
    started = table.start("stubborn", STUBBORN, log=tmp_path / "s.log", env={})
    while "up" not in (tmp_path / "s.log").read_text():
        assert started.alive
    table.stop_all()
    assert not started.alive


def test_somebody_else_s_process_under_a_reused_id_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(SLEEP)
    try:
        created = psutil.Process(other.pid).create_time()
        record = tmp_path / "p.json"
        record.write_text(json.dumps([{"name": "ours", "pid": other.pid, "started_at": created - 3600}]))
        table = ProcessTable(record)
        assert [s.name for s in table.dead] == ["ours"]
        table.stop_all()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_damaged_record_counts_as_no_process(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('[{"name": ')
    assert ProcessTable(tmp_path / "p.json").started == []


def test_the_environment_is_what_was_given_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker")
    table = ProcessTable(tmp_path / "p.json")
    show = [sys.executable, "-c", "import os, time; print(sorted(os.environ), flush=True); time.sleep(60)"]
    table.start("env", show, log=tmp_path / "env.log", env={"ONLY": "this"})
    while not (text := (tmp_path / "env.log").read_text()):
        pass
    table.stop_all()
    assert "ONLY" in text
    assert "AWS_SECRET_ACCESS_KEY" not in text


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "pki", "test").client("someone", user="someone")
    assert pair.key.stat().st_mode & 0o077 == 0
    assert not Started(name="x", pid=2**22 + 1, started_at=0.0).alive
