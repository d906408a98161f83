"""The ScaledObject of a model: what KEDA is asked to do, written out."""

import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from components import signals
from components.keda_scaler import PAUSED, annotations, spec, threshold
from components.model_monitor import POD_LABELS, gateway_spec, models_spec
from components.scaling import behavior
from settings import HpaScaling, KedaScaling, Model, Settings
from settings.keda import Fallback, Signal, Targets, ToZero, Window
from settings.speed import Speed

pytestmark = pytest.mark.unit

PROMETHEUS = "http://prometheus.monitoring.svc.cluster.local:9090"
DAY = Window(name="day", timezone="Europe/Berlin", start="0 8 * * 1-5", end="0 20 * * 1-5", replicas=4)
QUERIES = {
    "running": signals.running,
    "waiting": signals.waiting,
    "kv-cache": signals.kv_cache,
    "gpu-utilization": signals.gpu_utilization,
    "gateway-demand": signals.gateway_demand,
}


@pytest.fixture
def model(local: Settings) -> Model:
    """The chat model: 16 requests at once in a replica."""
    (found,) = [model for model in local.models if model.name == "qwen-7b-vllm"]
    return found


def _scaling(**changes: Any) -> KedaScaling:  # noqa: ANN401
    return KedaScaling(kind="keda", min=2, max=6).model_copy(update=changes)


def _spec(model: Model, scaling: KedaScaling) -> dict[str, Any]:
    return spec(model, scaling, namespace="llm-prod", prometheus=PROMETHEUS)


class TestTarget:
    def test_it_scales_the_deployment_that_kserve_makes(self, model: Model) -> None:
        assert _spec(model, _scaling())["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "qwen-7b-vllm-predictor",
        }

    def test_it_stays_within_the_bounds_of_the_settings(self, model: Model) -> None:
        made = _spec(model, _scaling())
        assert (made["minReplicaCount"], made["maxReplicaCount"]) == (2, 6)

    def test_whoever_comes_next_finds_the_replicas_that_are_there(self, model: Model) -> None:
        assert _spec(model, _scaling())["advanced"]["restoreToOriginalReplicaCount"] is False

    def test_an_autoscaler_of_ours_may_be_there_while_one_kind_replaces_the_other(self) -> None:
        assert behavior(Speed()) == behavior(HpaScaling(kind="hpa", min=1, max=2).speed)


class TestSignals:
    @pytest.mark.parametrize("signal", get_args(Signal))
    def test_each_asks_prometheus_by_its_query(self, model: Model, signal: Signal) -> None:
        (trigger,) = _spec(model, _scaling(signals=(signal,)))["triggers"]
        assert (trigger["type"], trigger["name"], trigger["metricType"]) == (
            "prometheus",
            signal,
            "AverageValue",
        )
        assert trigger["metadata"]["serverAddress"] == PROMETHEUS
        assert trigger["metadata"]["query"] == QUERIES[signal]("llm-prod", "qwen-7b-vllm")

    @pytest.mark.parametrize("signal", get_args(Signal))
    def test_an_empty_answer_is_a_failure_and_any_value_wakes(self, model: Model, signal: Signal) -> None:
        (trigger,) = _spec(model, _scaling(signals=(signal,)))["triggers"]
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        assert trigger["metadata"]["activationThreshold"] == "0"

    def test_running_requests_are_a_share_of_what_a_replica_runs_at_once(self, model: Model) -> None:
        assert threshold("running", model, _scaling(targets=Targets(running=50))) == 8

    def test_the_cache_is_measured_from_0_to_1(self, model: Model) -> None:
        assert threshold("kv-cache", model, _scaling(targets=Targets(kv_cache=70))) == pytest.approx(0.7)

    @pytest.mark.parametrize(
        ("signal", "target"), [("waiting", 3), ("gpu-utilization", 60), ("gateway-demand", 90)]
    )
    def test_the_others_are_in_the_unit_of_the_setting(
        self, model: Model, signal: Signal, target: int
    ) -> None:
        targets = Targets.model_validate({signal.replace("-", "_"): target})
        assert threshold(signal, model, _scaling(targets=targets)) == target

    def test_thresholds_are_written_as_text(self, model: Model) -> None:
        written = [t["metadata"]["threshold"] for t in _spec(model, _scaling())["triggers"]]
        assert written == ["12.8", "4", "0.8"]


class TestZero:
    def test_without_it_nothing_of_it_is_said(self, model: Model) -> None:
        """KEDA's webhook warns of times that it does not read."""
        made = _spec(model, _scaling())
        assert {"pollingInterval", "cooldownPeriod", "initialCooldownPeriod"}.isdisjoint(made)

    def test_times_of_zero(self, model: Model) -> None:
        scaling = _scaling(
            min=0, signals=("gateway-demand",), to_zero=ToZero(polling_seconds=5, cooldown_seconds=1200)
        )
        made = _spec(model, scaling)
        assert (made["pollingInterval"], made["cooldownPeriod"], made["initialCooldownPeriod"]) == (
            5,
            1200,
            1200,
        )

    def test_engines_that_are_not_there_have_no_load_and_the_gateway_speaks_for_itself(
        self, model: Model
    ) -> None:
        engine, gateway = _spec(model, _scaling(min=0, signals=("running", "gateway-demand")))["triggers"]
        ready = (
            'kube_deployment_status_replicas_ready{namespace="llm-prod",deployment="qwen-7b-vllm-predictor"}'
        )
        assert engine["metadata"]["query"].endswith(f" or 0 * max({ready} == 0)")
        assert gateway["metadata"]["query"] == signals.gateway_demand("llm-prod", "qwen-7b-vllm")

    def test_with_a_minimum_no_series_is_never_no_load(self, model: Model) -> None:
        (trigger,) = _spec(model, _scaling(signals=("running",)))["triggers"]
        assert " or " not in trigger["metadata"]["query"]


class TestWindows:
    def test_a_window_is_a_trigger_in_its_time_zone(self, model: Model) -> None:
        window = _spec(model, _scaling(windows=(DAY,)))["triggers"][-1]
        assert (window["type"], window["name"]) == ("cron", "day")
        assert window["metadata"] == {
            "timezone": "Europe/Berlin",
            "start": "0 8 * * 1-5",
            "end": "0 20 * * 1-5",
            "desiredReplicas": "4",
        }

    def test_names_of_triggers_are_unique(self, model: Model) -> None:
        names = [t["name"] for t in _spec(model, _scaling(windows=(DAY,)))["triggers"]]
        assert len(set(names)) == len(names) == 4


class TestFallback:
    @pytest.mark.parametrize(
        ("least", "own", "holds"), [(0, None, 1), (2, None, 2), (2, 5, 5)], ids=["zero", "minimum", "own"]
    )
    def test_what_is_there_stays_and_at_least_so_many(
        self, model: Model, least: int, own: int | None, holds: int
    ) -> None:
        scaling = _scaling(
            min=least, signals=("gateway-demand",), fallback=Fallback(failures=3, replicas=own)
        )
        assert _spec(model, scaling)["fallback"] == {
            "failureThreshold": 3,
            "replicas": holds,
            "behavior": "currentReplicasIfHigher",
        }


class TestSpeed:
    def test_up_is_bounded_and_down_is_slow(self) -> None:
        assert behavior(Speed()) == {
            "scaleUp": {
                "stabilizationWindowSeconds": 60,
                "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 600,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
            },
        }


class TestStop:
    def test_while_the_model_is_stopped_keda_rests(self, model: Model) -> None:
        assert annotations(model.model_copy(update={"stopped": True})) == {PAUSED: "true"}

    def test_else_the_update_waits_until_keda_took_it(self, model: Model) -> None:
        assert annotations(model) == {"pulumi.com/waitFor": "jsonpath={.status.hpaName}"}


class TestWhatIsAsked:
    def test_every_metric_of_the_engine_is_one_that_vllm_has(self, root: Path) -> None:
        data = root.parent / "shared" / "data" / "vllm-0.32.0-metrics.txt"
        if not data.is_file() and os.environ.get("VP_REQUIRE_SHARED") != "1":
            pytest.skip("the numbers of a real vLLM 0.32 are not here")
        named = set(re.findall(r"^(vllm:\w+)\{", data.read_text(), re.MULTILINE))
        asked = set(re.findall(r"vllm:\w+", " ".join(query("ns", "m") for query in QUERIES.values())))
        assert len(asked) == 3
        assert asked <= named

    @pytest.mark.parametrize("signal", ["running", "waiting", "kv-cache", "gpu-utilization"])
    def test_series_are_chosen_by_a_label_that_the_scrape_sets(self, signal: str) -> None:
        assert signals.SERVICE_LABEL in POD_LABELS
        label = re.sub(r"\W", "_", signals.SERVICE_LABEL)
        assert f'{{namespace="ns",{label}="m"}}' in QUERIES[signal]("ns", "m")

    def test_the_gateway_s_job_is_what_its_monitor_leads_to(self) -> None:
        """Prometheus' operator names the job after the monitor, unless it has a `jobLabel`."""
        assert "jobLabel" not in gateway_spec()
        assert f'up{{job="ns/{signals.GATEWAY_MONITOR}"}}' in signals.gateway_demand("ns", "m")

    def test_the_version_of_a_model_is_a_label_of_its_series(self) -> None:
        assert {"app.kubernetes.io/version", "vllm-platform.io/revision"} <= set(
            models_spec()["podTargetLabels"]
        )
