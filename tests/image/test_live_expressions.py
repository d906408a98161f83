"""Every expression of rules, dashboards, scalers and judge, asked of a real Prometheus that scrapes a real vLLM under a small load.

What no engine shows is replayed with the exporters' names and labels: Envoy's, DCGM's, KEDA's, kube-state-metrics'. Alerts have no
answer while all is well: each fires in `tests/rehearsal/test_alerts.py`, and here those of which a fault can be made at once.
"""

import contextlib
import os
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from components.dashboards.library import boards_of
from components.gateway_limits import CONSUMER_HEADER
from ops.rollout import queries
from rehearsal.cluster.api import wait_until
from settings.models import Model
from tests.image.conftest import PodEngine
from tests.image.panel_pictures import draw_all
from tests.image.prod_prometheus import Replay, prometheus
from tests.live_prometheus import Prometheus
from tests.prod_series import PROD, asked
from tests.promql import rule_expressions

pytestmark = pytest.mark.image

# As many replicas as any model of prod wants at least.
HEALTHY: Final = {"DCGM_FI_DEV_XID_ERRORS": 0.0, "kube_deployment_status_replicas_ready": 20.0}
# Of an engine on a busy CPU the first token may come later than prod promises.
OF_TIMES: Final = frozenset({"ErrorBudgetBurnsFast", "ErrorBudgetBurns"})
PAUSE_SECONDS: Final = 0.2
PATIENCE: Final = 90.0
"""Seconds. What is asked minute by minute has its first answer at the next whole one."""
DRAWN_SECONDS: Final = 20.0
# Of an engine that never failed there is no counter of failures: nothing means none.
NOTHING_IS_WELL: Final = frozenset(
    {queries.engine_requests('namespace="llm-prod"', queries.Window(seconds=60), "failed")}
)
RENAMED: Final = "vllm:request_queue_time_seconds_bucket"
PANEL: Final = "model: Time in the queue"


@dataclass(frozen=True, kw_only=True)
class Live:
    """Prometheus, and what is replayed to it."""

    prometheus: Prometheus
    replay: Replay


@contextlib.contextmanager
def small_load(engine: PodEngine, model: str) -> Generator[None]:
    """Ask all the time: a chat as a consumer, and for a model that is not there."""
    ended = threading.Event()

    def ask() -> None:
        with engine.engine.client() as client:
            while not ended.wait(PAUSE_SECONDS):
                for name in (model, "no-such-model"):
                    body = {
                        "model": name,
                        "messages": [{"role": "user", "content": "Hello"}],
                        "max_tokens": 8,
                    }
                    with contextlib.suppress(httpx.TransportError):
                        client.post("/v1/chat/completions", json=body, headers={CONSUMER_HEADER: "team-a"})

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def loaded(pod_engine: PodEngine, chat_model: Model) -> Iterator[PodEngine]:
    with small_load(pod_engine, chat_model.name):
        yield pod_engine


@pytest.fixture(scope="module")
def live(loaded: PodEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    replay = Replay(changed=dict(HEALTHY))
    folder = tmp_path_factory.mktemp("live") / "prometheus"
    with prometheus(loaded.metrics_url, replay, folder) as running:
        yield Live(prometheus=running, replay=replay)


def test_each_panel_signal_and_question_has_an_answer(live: Live) -> None:
    expressions = {place: text for place, text in asked().items() if text not in NOTHING_IS_WELL}
    assert len(expressions) > 80
    wait_until(lambda: not live.prometheus.silent(expressions), seconds=PATIENCE)
    assert live.prometheus.silent(expressions) == {}


def test_each_rule_is_evaluated_and_what_is_recorded_is_there(live: Live) -> None:
    recorded = {name: name for _, name in rule_expressions(PROD) if name}

    def all_there() -> bool:
        rules = live.prometheus.rules()
        return all(rule["health"] == "ok" for rule in rules) and not live.prometheus.silent(names)

    rules = {rule["name"] for rule in live.prometheus.rules() if rule["type"] == "recording"}
    names = {name: name for name in recorded if name in rules}
    assert names.keys() == rules
    wait_until(all_there, seconds=PATIENCE)
    assert [rule for rule in live.prometheus.rules() if rule["health"] != "ok"] == []
    assert live.prometheus.silent(names) == {}


def test_no_alert_fires_while_all_is_well_and_a_fault_makes_one_fire(live: Live) -> None:
    def others() -> set[str]:
        return live.prometheus.alerts() - OF_TIMES

    assert wait_until(lambda: others() == set(), seconds=PATIENCE), others()
    live.replay.changed |= {"DCGM_FI_DEV_XID_ERRORS": 79, "DCGM_FI_DEV_ROW_REMAP_FAILURE": 1}
    fired = {"GpuXidError", "GpuMemoryBroken"}
    try:
        assert wait_until(lambda: others() == fired, seconds=PATIENCE), others()
    finally:
        live.replay.changed.clear()
        live.replay.changed |= HEALTHY
    assert wait_until(lambda: others() == set(), seconds=PATIENCE), others()


def test_what_has_no_answer_while_all_is_well_has_one_when_requests_fail(live: Live) -> None:
    expressions = {text: text for text in asked().values() if text in NOTHING_IS_WELL}
    assert expressions.keys() == live.prometheus.silent(expressions).keys() == NOTHING_IS_WELL
    live.replay.failing = True
    try:
        assert wait_until(lambda: not live.prometheus.silent(expressions), seconds=PATIENCE)
    finally:
        live.replay.failing = False


def test_prometheus_takes_the_rules_of_every_kind_of_stack(live: Live) -> None:
    """With each objective, with and without a gateway: prod has not all of them."""
    for expression, _ in rule_expressions(PROD):
        live.prometheus.query(expression)


def test_of_a_metric_that_was_renamed_the_panel_is_named(
    loaded: PodEngine, live: Live, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By a second Prometheus; the first, which scrapes the same, has an answer."""
    folder = tmp_path_factory.mktemp("renamed") / "prometheus"
    with prometheus(loaded.metrics_url, live.replay, folder, renamed=RENAMED) as running:
        panels = {
            place: text for place, text in asked().items() if place.startswith("model: Time to first token")
        }
        assert wait_until(lambda: not running.silent(panels), seconds=PATIENCE)
        silent = running.silent(asked())
    assert any(place.startswith(PANEL) for place in silent), silent
    assert not any(place.startswith(PANEL) for place in live.prometheus.silent(asked()))


def test_each_dashboard_can_be_drawn_of_what_there_is(live: Live, tmp_path: Path) -> None:
    """Last, so that there is a course to draw. Kept where `VP_PICTURES` says so: the documents show it."""
    folder = Path(os.environ.get("VP_PICTURES", tmp_path))
    drawn = draw_all(PROD, live.prometheus, DRAWN_SECONDS, folder)
    assert (
        {file.stem for file in folder.glob("*.png")}
        == set(drawn)
        == {board.name for board in boards_of(PROD)}
    )
    assert [name for name, lines in drawn.items() if not lines] == []
