"""Killed in the middle: the next run converges, nothing is lost or doubled, no process is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import wait_until
from rehearsal.cluster.processes import ProcessTable
from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal

MIDWAY_SECONDS = 120.0


def processes_of(checkout: Checkout) -> list[str]:
    """Everything that runs with this checkout's folder in its command line, this test left out."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(checkout.root) in words and process.info["pid"] != os.getpid():
            found.append(words)
    return found


@pytest.fixture
def rehearsing(checkout: Checkout) -> Iterator[subprocess.Popen[str]]:
    """`vp rehearse dev` that has reached the middle of its update: the first InferenceService is in the cluster."""
    command = [str(Path(sys.prefix) / "bin" / "vp"), "rehearse", "dev"]
    process = subprocess.Popen(
        command,
        cwd=checkout.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: midway(checkout), seconds=MIDWAY_SECONDS), (
            "the update never reached its middle"
        )
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def midway(checkout: Checkout) -> bool:
    layout = checkout.layout("dev")
    if not (layout.root / "server").exists():
        return False
    with lifecycle.connect(layout) as api:
        if not api.ready() or not layout.pulumi_state.exists():
            return False
        crd = api.get(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", "inferenceservices.serving.kserve.io"
        )
        return crd is not None and bool(
            api.list("policy/v1", "PodDisruptionBudget")
            or api.list("serving.kserve.io/v1beta1", "InferenceService")
        )


def test_kill_9_of_pulumi_up_midway_then_up_again_converges(
    checkout: Checkout, rehearsing: subprocess.Popen[str]
) -> None:
    os.killpg(rehearsing.pid, signal.SIGKILL)
    rehearsing.wait(30)
    time.sleep(0.5)
    checkout.vp("rehearse", "dev")
    assert not [p for p in processes_of(checkout) if "bin/pulumi" in p]
    settings = checkout.settings("dev")
    with lifecycle.connect(checkout.layout("dev")) as api:
        services = [o["metadata"]["name"] for o in api.list("serving.kserve.io/v1beta1", "InferenceService")]
        budgets = api.list("policy/v1", "PodDisruptionBudget")
    assert sorted(services) == sorted(m.name for m in settings.enabled_models)
    assert len(budgets) == len(settings.enabled_models)
    again = checkout.vp("rehearse", "dev")
    assert not [
        w
        for line in again.splitlines()
        if line.startswith("pulumi up:")
        for w in ("create", "update", "delete")
        if w in line
    ]


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(
    checkout: Checkout, rehearsing: subprocess.Popen[str]
) -> None:
    os.killpg(rehearsing.pid, signal.SIGINT)
    printed, _ = rehearsing.communicate(timeout=60)
    assert rehearsing.returncode == 130, printed
    assert "Traceback" not in printed
    assert not [p for p in processes_of(checkout) if "bin/pulumi" in p]
    checkout.vp("rehearse", "dev")


def test_a_cluster_whose_processes_were_killed_is_recognised_and_cleaned(checkout: Checkout) -> None:
    checkout.vp("cluster", "up", "dev")
    layout = checkout.layout("dev")
    for entry in ProcessTable(layout.record).started[:2]:
        os.kill(entry.pid, signal.SIGKILL)
    assert wait_until(lambda: lifecycle.status(layout).state == "dead", seconds=10)
    shown = checkout.vp("cluster", "status", "dev", code=1)
    assert "dead" in shown
    assert "etcd" in shown
    checkout.vp("rehearse", "dev")
    checkout.vp("cluster", "down", "dev")
    assert processes_of(checkout) == []
    assert not (checkout.root / ".rehearsal").exists()


def test_a_start_that_fails_leaves_no_process_and_names_the_log(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rehearsal.errors import UserError  # noqa: PLC0415
    from tests.rehearsal.conftest import tools  # noqa: PLC0415

    monkeypatch.setattr("rehearsal.cluster.control_plane.SERVICE_RANGE", "not-a-range")
    layout = checkout.layout("broken")
    with pytest.raises(UserError, match=r"kube-apiserver ended.*kube-apiserver\.log"):
        lifecycle.up(layout, tools(), lambda _: None)
    assert processes_of(checkout) == []


def test_two_clusters_run_side_by_side(checkout: Checkout) -> None:
    checkout.vp("cluster", "up", "one", "--bare")
    checkout.vp("cluster", "up", "two", "--bare")
    shown = checkout.vp("cluster", "status")
    assert shown.count("running") >= 2
    assert checkout.vp("cluster", "down").count("5 processes stopped") == 2
    assert processes_of(checkout) == []


def test_nothing_listens_on_anything_but_loopback(checkout: Checkout) -> None:
    checkout.vp("cluster", "up", "dev")
    listening = [
        (entry.name, c.laddr.ip)
        for entry in ProcessTable(checkout.layout("dev").record).started
        for process in [entry.find()]
        if process
        for c in process.net_connections(kind="inet")
        if c.status == psutil.CONN_LISTEN
    ]
    assert {name for name, _ in listening} >= {"etcd", "kube-apiserver", "kserve-controller"}
    assert {ip for _, ip in listening} == {"127.0.0.1"}
