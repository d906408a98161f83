"""`vp rollout` with real traffic: the program's own route in a real Envoy, and a judge who asks a real Prometheus."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from rich.console import Console

from components.model_monitor import API_VERSION, KIND
from ops.cluster_api import ClusterApi
from ops.rollout.driver import ROLLED_BACK, Driver
from ops.rollout.history import History
from ops.rollout.judge import Verdict
from ops.rollout.measure import Meter
from ops.rollout.observe import look, remove_candidate
from ops.rollout.place import Place, in_cluster
from ops.rollout.prometheus import Prometheus, PrometheusError, at_address
from ops.rollout.stack_file import StackFile, Standing
from ops.rollout.target import release_change
from rehearsal.definitions import define
from rehearsal.engine import PulumiStack
from settings import stack_yaml
from tests.gateway import monitoring
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.load import Load, Request, load
from tests.gateway.models import MODEL, sections, wait_for
from tests.rehearsal.conftest import tools

pytestmark = pytest.mark.gateway

STACK: Final = "gateway"
CANARY: Final = f"{MODEL}-canary"
SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
ROUTE: Final = f"/apis/gateway.networking.k8s.io/v1/namespaces/{MODELS}/httproutes/{MODEL}"
STEPS: Final = [10, 50, 100]
# The judge's own limits are for minutes of an idle machine's traffic.
JUDGE: Final = {
    "min_requests": 30,
    "max_ttft_p95_ratio": 4.0,
    "max_inter_token_p95_ratio": 4.0,
    "max_wait_seconds": 300,
}
BAKE_SECONDS: Final = 12
LOOK_SECONDS: Final = 2.0


@dataclass
class Shown:
    """What the driver showed. weights: of the live route at each move."""

    said: list[str] = field(default_factory=list[str])
    verdicts: list[Verdict] = field(default_factory=list[Verdict])

    def moved(self, standing: Standing) -> None:
        self.said.append(str(standing))

    def looked(self, standing: Standing, age: float, verdict: Verdict, note: str) -> None:
        assert not note, (str(standing), age, note)
        self.verdicts.append(verdict)

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass(frozen=True, kw_only=True)
class Rolled:
    """A stack with a canary on the data plane, its file in a git checkout. metrics: address of the Prometheus that is asked."""

    plane: DataPlane
    file: StackFile
    cluster: ClusterApi
    metrics: str
    weights: list[int] = field(default_factory=list[int])

    def deploy(self) -> None:
        content = cast("dict[str, Any]", stack_yaml.load(self.file.text()))
        self.plane.cluster.stack(STACK, content["config"]).up()
        self.weights.append(self.weight())

    def weight(self) -> int:
        content = self.cluster.get(ROUTE).content
        assert content is not None
        (rule,) = content["spec"]["rules"]
        named = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
        return named.get(f"{CANARY}-predictor", 0)

    def roll_out(self, tag: str) -> tuple[int, Shown]:
        self.weights.clear()
        shown = Shown()
        meter = Meter(
            prometheus=Prometheus(at_address(self.metrics)), namespace=MODELS, model=MODEL, task="generate"
        )
        driver = Driver(
            file=self.file,
            history=History.of(self.file.path),
            deploy=self.deploy,
            look=lambda: look(self.cluster, MODELS, MODEL),
            remove=lambda: remove_candidate(self.cluster, MODELS, MODEL),
            measure=meter.measure,
            view=shown,
        )
        change = release_change(self.file.read().model, [f"{tag}@sha256:{'2' * 64}"])
        return driver.run(change), shown

    def behave(self, behaviour: Behaviour) -> None:
        self.plane.behave(behaviour, {SERVICE_LABEL: CANARY})

    def targets(self) -> list[str]:
        return [f"{url}/{MODEL}" for url in self.plane.gateway_urls()]

    def log(self) -> str:
        command = ["git", "log", "-1", "--format=%B"]
        return subprocess.run(
            command, cwd=self.file.path.parent, capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture(scope="module")
def rolled(empty_plane: DataPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    plane, folder = empty_plane, tmp_path_factory.mktemp("stack")
    own = sections(replicas=2)
    (model,) = own["models"]
    model["rollout"] = {"kind": "canary", "steps": STEPS, "bake_seconds": BAKE_SECONDS, "judge": JUDGE}
    path = folder / f"Pulumi.{STACK}.yaml"
    path.write_text(yaml.safe_dump({"config": plane.cluster.config(**own)}, sort_keys=False))
    for arguments in (
        ["init", "--quiet"],
        ["config", "user.name", "T"],
        ["config", "user.email", "t@example.com"],
        ["add", path.name],
        ["commit", "--quiet", "--message", "begin"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)  # noqa: S607 - the git of whoever runs the tests
    define(plane.api, tools(), ["prometheus-definitions"])
    plane.stack(STACK, own).up()
    plane.programmed()
    wait_for(plane, "", 2)
    monitors = plane.api.list(API_VERSION, KIND, MODELS)
    with monitoring.prometheus(plane.cluster.layout, monitors, folder / "prometheus") as asked:
        cluster = ClusterApi(plane.cluster.layout.kubeconfig, None)
        file = StackFile(folder, STACK, MODEL)
        yield Rolled(plane=plane, file=file, cluster=cluster, metrics=asked.url)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.rollout.driver.LOOK_SECONDS", LOOK_SECONDS)


def _loaded(rolled: Rolled, run: Callable[[], tuple[int, Shown]]) -> tuple[int, Shown, Load]:
    with load(
        rolled.targets, Request(model=MODEL, tokens=4), clients=6, seconds=600, requests=200_000
    ) as running:
        running.wait_for(20)
        code, shown = run()
        running.wait_for(20)
    return code, shown, running


def test_a_good_release_is_taken_over_without_a_failed_request(rolled: Rolled) -> None:
    code, shown, running = _loaded(rolled, lambda: rolled.roll_out("v1.1"))
    assert code == 0, shown.said
    assert running.failures == []
    assert rolled.weights == [*STEPS, 100, 0]
    assert running.versions().keys() == {"v1.0", "v1.1"}
    last = running.outcomes[-1]
    assert last.version == "v1.1"
    assert rolled.file.read().phase == "stable"
    assert rolled.plane.pods({SERVICE_LABEL: CANARY}) == [] or rolled.weight() == 0
    # Both sides were measured, in the pods and in the gateway.
    good = [verdict for verdict in shown.verdicts if verdict.opinion == "good"]
    assert len(good) >= len(STEPS)
    assert {check.name for check in good[0].checks} == {
        *("pods", "replicas", "requests", "engine 5xx", "engine 4xx", "gateway 5xx"),
        *("first token p95", "inter-token p95"),
    }


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Behaviour(error_ratio=0.6), "engine 5xx: above the limit"),
        (
            Behaviour(first_token_seconds=2.0, between_tokens_seconds=1.0),
            "first token p95: slower|inter-token p95: slower",
        ),
    ],
    ids=["errors", "slow"],
)
def test_a_bad_release_is_rolled_back_by_the_judge(rolled: Rolled, fault: Behaviour, reason: str) -> None:
    before = rolled.file.text()
    rolled.behave(fault)
    try:
        code, shown, running = _loaded(rolled, lambda: rolled.roll_out("v9.9"))
    finally:
        rolled.behave(Behaviour())
    assert code == ROLLED_BACK, shown.said
    assert rolled.weights == [STEPS[0], 0]
    assert re.search(reason, rolled.log()), shown.said
    assert rolled.file.text() == before
    # Whatever failed was the bad release's doing, and only its share of the traffic saw it.
    failed = [outcome for outcome in running.failures if outcome.status != 500]
    assert failed == []
    assert len(running.failures) < len(running.outcomes) * 0.2
    assert running.outcomes[-1].version != "v9.9"


class _Reached(Place):
    """The data plane's cluster, reached as a stack's is."""

    def __init__(self, cluster: ClusterApi) -> None:
        super().__init__(STACK, Path(), Console())
        self._cluster = cluster

    def log_in(self) -> ClusterApi:
        return self._cluster

    def deploy(self) -> None:
        raise NotImplementedError

    def pulumi(self) -> PulumiStack:
        raise NotImplementedError

    def prometheus_address(self) -> str | None:
        raise NotImplementedError


def test_an_address_in_the_cluster_is_reached_through_its_api_server(rolled: Rolled) -> None:
    """The engine is no Prometheus, and that is what is heard: its own words, not the API server's."""
    place = _Reached(rolled.cluster)
    address = f"http://{MODEL}-predictor.{MODELS}.svc.cluster.local"
    with pytest.raises(PrometheusError, match=r"refused the question|no JSON") as refused:
        Prometheus(in_cluster(place, address)).ask("up")
    assert "Status" not in str(refused.value)
    with pytest.raises(PrometheusError, match="not found"):
        Prometheus(in_cluster(place, f"http://nobody.{MODELS}.svc.cluster.local:9090")).ask("up")
