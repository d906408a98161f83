"""`vp rollout` on a rehearsed stack: the real program, engine, API server and KServe; what the judge is told is made up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import psutil
import pytest

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api, wait_until
from settings import stack_yaml
from tests.canary_stacks import MODEL, STEPS, write_canary_stack
from tests.docs.shown_commands import all_blocks, run
from tests.made_prometheus import MadePrometheus, made_prometheus
from tests.rehearsal.conftest import Checkout, make_checkout, remove_clusters

pytestmark = pytest.mark.rehearsal

ROUTE = f"/apis/gateway.networking.k8s.io/v1/namespaces/llm-prod/httproutes/{MODEL}"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/llm-prod/inferenceservices"
PODS = f"/api/v1/namespaces/llm-prod/pods?labelSelector=serving.kserve.io/inferenceservice={MODEL}-canary"
VP = str(Path(sys.prefix) / "bin" / "vp")
MIDWAY_SECONDS = 120.0
SHOWN_PROMETHEUS = "http://127.0.0.1:9090"


def git(checkout: Checkout, *arguments: str) -> str:
    done = checkout.start_and_wait(["git", *arguments])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A git checkout in which a stack with a canary was rehearsed. Steps bake for a few seconds."""
    made = make_checkout(tmp_path_factory.mktemp("rollout") / "checkout")
    try:
        write_canary_stack(made.root / "Pulumi.local.yaml", bake_seconds=3)
        git(made, "init", "--quiet")
        for name, value in {
            "user.name": "T",
            "user.email": "t@example.com",
            "commit.gpgsign": "false",
        }.items():
            git(made, "config", name, value)
        git(made, "add", "Pulumi.local.yaml")
        git(made, "commit", "--quiet", "--message", "begin")
        made.vp("rehearse", "local")
        yield made
    finally:
        remove_clusters(made)


@pytest.fixture
def cluster(rehearsed: Checkout) -> Iterator[Api]:
    with lifecycle.connect(rehearsed.layout("local")) as connection:
        yield connection


@pytest.fixture
def prometheus() -> Iterator[MadePrometheus]:
    with made_prometheus() as made:
        yield made


def weight(api: Api) -> int:
    (rule,) = api.fetch(ROUTE)["spec"]["rules"]
    named = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
    assert sum(named.values()) == 100
    return named.get(f"{MODEL}-canary-predictor", 0)


def images(api: Api) -> dict[str, str]:
    return {
        service["metadata"]["name"]: service["spec"]["predictor"]["containers"][0]["image"].rpartition(":")[2]
        for service in cast("list[dict[str, Any]]", api.fetch(SERVICES)["items"])
        if service["metadata"]["name"].startswith(MODEL)
    }


def candidates(api: Api) -> list[str]:
    """Return the objects of candidates, of every kind that a version has."""
    kinds = {
        "Deployment": "apps/v1",
        "Service": "v1",
        "ServiceAccount": "v1",
        "PodDisruptionBudget": "policy/v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
    }
    found = [each for kind, version in kinds.items() for each in api.list(version, kind, "llm-prod")]
    return [each["metadata"]["name"] for each in found if "canary" in each["metadata"]["name"]]


def stable_tag(checkout: Checkout) -> str:
    document = cast("dict[str, Any]", stack_yaml.load((checkout.root / "Pulumi.local.yaml").read_text()))
    (model,) = [m for m in document["config"]["vllm-platform:models"] if m["name"] == MODEL]
    assert "candidate" not in model["rollout"]
    return model["image"]["tag"]


def command(prometheus: MadePrometheus, tag: str) -> list[str]:
    return [
        "rollout",
        MODEL,
        "--stack",
        "local",
        "--to",
        tag,
        "--yes",
        "--rehearsal",
        "--prometheus",
        prometheus.url,
    ]


class Weights:
    """The weights that the live route has had, one after the other.

    stable: each weight with the release that the stable version ran then. early: those that came before a replica of the candidate.
    """

    def __init__(self, checkout: Checkout) -> None:
        self.seen: list[int] = []
        self.stable: list[tuple[int, str]] = []
        self.early: list[int] = []
        self._over = Event()
        self._thread = Thread(target=self._watch, args=(checkout,))
        self._thread.start()

    def _watch(self, checkout: Checkout) -> None:
        with lifecycle.connect(checkout.layout("local")) as api:
            while not self._over.wait(0.1):
                candidate = api.get("apps/v1", "Deployment", f"{MODEL}-canary-predictor", "llm-prod") or {}
                stable = api.get("apps/v1", "Deployment", f"{MODEL}-predictor", "llm-prod")
                found = weight(api)
                assert stable is not None
                (container,) = stable["spec"]["template"]["spec"]["containers"]
                pair = (found, container["image"].rpartition(":")[2])
                if self.stable[-1:] != [pair]:
                    self.stable.append(pair)
                if self.seen[-1:] != [found]:
                    self.seen.append(found)
                if found and not candidate.get("status", {}).get("availableReplicas"):
                    self.early.append(found)

    def stop(self) -> list[int]:
        self._over.set()
        self._thread.join()
        return self.seen


def test_a_good_release_goes_through_every_step_into_the_stable_place(
    rehearsed: Checkout, cluster: Api, prometheus: MadePrometheus
) -> None:
    before = stable_tag(rehearsed)
    after = f"{before}.good"
    weights = Weights(rehearsed)
    try:
        shown = rehearsed.vp(*command(prometheus, after))
    finally:
        seen = weights.stop()
    assert seen == [0, *STEPS, 0]
    # Nothing of the stable version restarts while it has traffic, and a share is of a version that is there.
    assert weights.stable == [*((each, before) for each in (0, *STEPS)), (STEPS[-1], after), (0, after)]
    assert weights.early == []
    assert candidates(cluster) == []
    assert stable_tag(rehearsed) == after
    assert images(cluster) == {MODEL: after}
    assert cluster.fetch(PODS)["items"] == [] or all(
        pod["metadata"].get("deletionTimestamp") for pod in cluster.fetch(PODS)["items"]
    )
    assert "step 2 of 3, 50 % to the candidate" in shown
    assert "good engine 5xx: stable 0.00% of 200, canary 0.00% of 200, limit 1.00%" in shown
    assert git(rehearsed, "status", "--porcelain", "Pulumi.local.yaml") == ""
    assert git(rehearsed, "log", "-1", "--format=%s") == f"local: {MODEL}: rollout done\n"
    # What follows changes nothing: the file is what is deployed.
    last = next(
        line for line in rehearsed.vp("rehearse", "local").splitlines() if line.startswith("pulumi up:")
    )
    assert not [word for word in ("create", "update", "delete") if word in last]


@pytest.mark.parametrize("fault", ["errors", "slow"])
def test_a_bad_release_is_rolled_back_without_anybody(
    rehearsed: Checkout, cluster: Api, prometheus: MadePrometheus, fault: str
) -> None:
    before = stable_tag(rehearsed)
    prometheus.failed = 50.0 if fault == "errors" else 0.0
    prometheus.slow = fault == "slow"
    weights = Weights(rehearsed)
    try:
        shown = rehearsed.vp(*command(prometheus, f"{before}.bad"), code=1)
    finally:
        seen = weights.stop()
    assert seen == [0, STEPS[0], 0]
    assert stable_tag(rehearsed) == before
    assert images(cluster) == {MODEL: before}
    reason = "engine 5xx: above the limit" if fault == "errors" else "first token p95: slower"
    assert f"not good: {reason}" in shown
    assert reason in git(rehearsed, "log", "-1", "--format=%B")


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture
def running(rehearsed: Checkout, prometheus: MadePrometheus) -> Iterator[subprocess.Popen[str]]:
    """`vp rollout` on its way, with no traffic to judge."""
    prometheus.requests = 1.0
    process = subprocess.Popen(
        [VP, *command(prometheus, f"{stable_tag(rehearsed)}.cut")],
        cwd=rehearsed.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def goes_back(checkout: Checkout, api: Api, before: str) -> str:
    """`abort` goes back, whatever was left. Returns what it printed."""
    shown = checkout.vp("rollout", "abort", MODEL, "--stack", "local", "--rehearsal")
    assert stable_tag(checkout) == before
    assert images(api) == {MODEL: before}
    assert weight(api) == 0
    assert git(checkout, "status", "--porcelain", "Pulumi.local.yaml") == ""
    return shown


def test_ctrl_c_leaves_what_a_second_run_and_status_and_abort_understand(
    rehearsed: Checkout, cluster: Api, prometheus: MadePrometheus, running: subprocess.Popen[str]
) -> None:
    before = images(cluster)[MODEL]
    assert wait_until(
        lambda: weight(cluster) == STEPS[0] and len(prometheus.asked) > 1, seconds=MIDWAY_SECONDS
    )
    refused = rehearsed.vp("rollout", MODEL, "--stack", "local", "--yes", "--rehearsal", code=1)
    assert f"another `vp rollout` (process {running.pid}) drives {MODEL}" in refused
    os.kill(running.pid, signal.SIGINT)
    shown, _ = running.communicate(timeout=60)
    assert running.returncode == 130, shown
    assert "Traceback" not in shown
    assert "The same command goes on" in shown
    assert "step 1 of 3" in rehearsed.vp("rollout", "status", "--stack", "local", "--rehearsal")
    assert f"{STEPS[0]} % for" in rehearsed.vp("rollout", "status", "--stack", "local", "--rehearsal")
    # A second run goes on from the step that stands: told of traffic, it ends well.
    prometheus.requests = 200.0
    prometheus.failed = 100.0
    rehearsed.vp(*command(prometheus, f"{before}.cut"), code=1)
    assert images(cluster) == {MODEL: before}


def test_abort_stops_the_driver_that_is_at_work(
    rehearsed: Checkout, cluster: Api, running: subprocess.Popen[str]
) -> None:
    before = images(cluster)[MODEL]
    assert wait_until(lambda: weight(cluster) == STEPS[0], seconds=MIDWAY_SECONDS)
    goes_back(rehearsed, cluster, before)
    assert running.wait(60) == 130


def forget_the_candidate(checkout: Checkout, *, begun: bool) -> bool:
    """Leave the state as a run does that is cut off before it hears what became of the candidate.

    begun: the state says that it was being made. An engine that ends in order takes that out again, though it was made,
    and may have done so here. Returns whether the state says anything of it.
    """
    (path,) = checkout.layout("local").pulumi_state.glob(".pulumi/stacks/*/local.json")
    content = cast("dict[str, Any]", json.loads(path.read_text()))
    latest = content["checkpoint"]["latest"]
    name = f":InferenceService::{MODEL}-canary-inference"
    pending: list[dict[str, Any]] = latest.get("pending_operations") or []
    known: list[dict[str, Any]] = [one for one in latest["resources"] if one["urn"].endswith(name)]
    known += [one["resource"] for one in pending if one["resource"]["urn"].endswith(name)]
    unsure = [{key: value for key, value in one.items() if key not in {"id", "outputs"}} for one in known[:1]]
    latest["resources"] = [one for one in latest["resources"] if one not in known]
    latest["pending_operations"] = [one for one in pending if one["resource"] not in known]
    if begun:
        latest["pending_operations"] += [{"type": "creating", "resource": one} for one in unsure]
    path.write_text(json.dumps(content))
    return begun and bool(known)


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "unknown"])
def test_killed_in_the_middle_of_an_update_it_leaves_no_process_and_a_way_back(
    rehearsed: Checkout, cluster: Api, running: subprocess.Popen[str], *, begun: bool
) -> None:
    before = images(cluster)[MODEL]
    assert wait_until(lambda: f"{MODEL}-canary" in images(cluster), seconds=MIDWAY_SECONDS)
    children = children_of(running.pid)
    assert [child for child in children if child.name() == "pulumi"]
    os.kill(running.pid, signal.SIGKILL)
    running.wait(30)
    # Pulumi finishes what it has begun, and ends.
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []
    time.sleep(0.5)
    known = forget_the_candidate(rehearsed, begun=begun)
    shown = goes_back(rehearsed, cluster, before)
    assert ("unknown to Pulumi" not in shown) == known, shown


def test_the_commands_of_the_document_from_top_to_bottom(
    rehearsed: Checkout, cluster: Api, prometheus: MadePrometheus, tmp_path: Path
) -> None:
    """Its tags are next to `v1.0`, so the stack begins there again."""
    path = rehearsed.root / "Pulumi.local.yaml"
    path.write_text(path.read_text().replace(f"tag: {stable_tag(rehearsed)}", "tag: v1.0"))
    git(rehearsed, "commit", "--quiet", "--allow-empty", "--all", "--message", "begin again")
    rehearsed.vp("rehearse", "local")
    blocks = [
        block for block in all_blocks() if block.document == "docs/rollouts.md" and block.language == "bash"
    ]
    assert blocks
    printed = [
        run(
            replace(block, text=block.text.replace(SHOWN_PROMETHEUS, prometheus.url)),
            rehearsed.root,
            tmp_path,
        )
        for block in blocks
    ]
    assert "steps: 5 %, 50 %, 100 %" in printed[0]
    assert "rollout done" not in printed[0]
    assert stable_tag(rehearsed) == "v1.1"
    assert "rollout aborted" in git(rehearsed, "log", "-1", "--format=%s")
    assert images(cluster) == {MODEL: "v1.1"}
