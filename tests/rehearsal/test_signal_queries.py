"""What a scaler asks, evaluated by Prometheus' own engine over series that a scrape would bring (`promtool test rules`)."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components import signals
from components.addons.prometheus_adapter import gpu_rule
from tests.rehearsal.conftest import tools

pytestmark = pytest.mark.rehearsal

NAMESPACE: Final = "llm-prod"
MODEL: Final = "qwen"
READY: Final = (
    f'kube_deployment_status_replicas_ready{{namespace="{NAMESPACE}",deployment="{MODEL}-predictor"}}'
)
UPSTREAM: Final = f'envoy_cluster_name="httproute/{NAMESPACE}/{MODEL}/rule/0"'
WATCHED: Final = f'up{{job="{NAMESPACE}/gateway",pod="envoy-1"}}'
AT: Final = "10m"
Series = dict[str, str]


def series(metric: str, pod: str, *, model: str = MODEL, namespace: str = NAMESPACE, **labels: str) -> str:
    """A series with the labels that the program's PodMonitor leads to."""
    every = {
        "namespace": namespace,
        "pod": pod,
        "serving_kserve_io_inferenceservice": model,
        "vllm_platform_io_model": model,
        **labels,
    }
    inside = ",".join(f'{key}="{value}"' for key, value in every.items())
    return f"{metric}{{{inside}}}"


def engine(metric: str, pod: str, number: str = "0", **labels: str) -> str:
    return series(f"vllm:{metric}", pod, engine=number, model_name="any", **labels)


def gpu(pod: str, number: str, **labels: str) -> str:
    return series("DCGM_FI_DEV_GPU_UTIL", pod, gpu=number, **labels)


def envoy(counter: str, pod: str = "envoy-1") -> str:
    return f'envoy_cluster_{counter}{{{UPSTREAM},pod="{pod}"}}'


def evaluate(
    folder: Path, query: str, given: Series, expected: float | dict[str, float] | None, at: str = AT
) -> None:
    """Fail unless the query over the series gives one number without labels, numbers by labels, or nothing."""
    if isinstance(expected, dict):
        samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    else:
        samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    test: dict[str, Any] = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples}],
    }
    path = folder / "query.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(
        [str(tools().bin("promtool")), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


ENGINE: Final[dict[str, tuple[Series, float | None]]] = {
    "three replicas": (
        {engine("num_requests_running", f"p-{n}"): f"{n}x60" for n in (4, 5, 6)},
        15.0,
    ),
    "another model, and the same one elsewhere": (
        {
            engine("num_requests_running", "p-1"): "4x60",
            engine("num_requests_running", "q-1", model="qwen-candidate"): "90x60",
            engine("num_requests_running", "p-1", namespace="llm-dev"): "90x60",
        },
        4.0,
    ),
    "two scrapes of one engine": (
        {
            engine("num_requests_running", "p-1", job="vllm"): "4x60",
            engine("num_requests_running", "p-1", job="another"): "4x60",
        },
        4.0,
    ),
    "a replica with two engines": (
        {
            engine("num_requests_running", "p-1", "0"): "4x60",
            engine("num_requests_running", "p-1", "1"): "3x60",
        },
        7.0,
    ),
    "a replica that starts has no series": ({engine("num_requests_running", "p-1"): "12x60"}, 12.0),
    "a replica that went": (
        {
            engine("num_requests_running", "p-1"): "4x60",
            engine("num_requests_running", "p-2"): "9x10 stale",
        },
        4.0,
    ),
    "nobody is scraped": ({}, None),
}


@pytest.mark.parametrize("case", ENGINE)
def test_running_and_waiting_requests_of_all_replicas(case: str, tmp_path: Path) -> None:
    given, expected = ENGINE[case]
    evaluate(tmp_path, signals.running(NAMESPACE, MODEL), given, expected)
    waiting = {name.replace("num_requests_running", "num_requests_waiting"): v for name, v in given.items()}
    evaluate(tmp_path, signals.waiting(NAMESPACE, MODEL), waiting, expected)
    if waiting:
        evaluate(tmp_path, signals.running(NAMESPACE, MODEL), waiting, None)


def test_the_cache_of_a_replica_with_several_engines_counts_once(tmp_path: Path) -> None:
    given = {
        engine("kv_cache_usage_perc", "p-1", "0"): "0.25x60",
        engine("kv_cache_usage_perc", "p-1", "1"): "0.75x60",
        engine("kv_cache_usage_perc", "p-2"): "0.5x60",
    }
    evaluate(tmp_path, signals.kv_cache(NAMESPACE, MODEL), given, 1.0)
    evaluate(tmp_path, signals.kv_cache(NAMESPACE, MODEL), {}, None)


def test_a_replica_with_several_gpus_counts_once(tmp_path: Path) -> None:
    given = {gpu("p-1", "0"): "100x60", gpu("p-1", "1"): "50x60", gpu("p-2", "0"): "20x60"}
    evaluate(tmp_path, signals.gpu_utilization(NAMESPACE, MODEL), given, 95)


class TestZero:
    QUERY: Final = signals.or_zero_without_replicas(
        signals.running(NAMESPACE, MODEL), NAMESPACE, f"{MODEL}-predictor"
    )

    def test_engines_that_are_not_there_have_no_load(self, tmp_path: Path) -> None:
        evaluate(tmp_path, self.QUERY, {READY: "0x60"}, 0)

    def test_an_engine_that_is_there_and_says_nothing_is_a_failure(self, tmp_path: Path) -> None:
        evaluate(tmp_path, self.QUERY, {READY: "1x60"}, None)

    def test_so_is_a_number_of_replicas_that_nobody_knows(self, tmp_path: Path) -> None:
        evaluate(tmp_path, self.QUERY, {}, None)

    def test_else_it_is_the_load(self, tmp_path: Path) -> None:
        given = {READY: "1x60", engine("num_requests_running", "p-1"): "5x60"}
        evaluate(tmp_path, self.QUERY, given, 5)


class TestDemand:
    """Scrapes every 15 s; Envoy Gateway has counters of an upstream made with its first request."""

    QUERY: Final = signals.gateway_demand(NAMESPACE, MODEL)
    # Forty scrapes without the counter; then it is 1, for one request that found no replica.
    FIRST: Final = {
        WATCHED: "1x60",
        envoy("upstream_rq_total"): "_x40 0x20",
        envoy("upstream_rq_pending_failure_eject"): "_x40 1x20",
        envoy("upstream_rq_active"): "_x40 0x20",
    }

    def test_where_nobody_ever_asked_there_is_none(self, tmp_path: Path) -> None:
        evaluate(tmp_path, self.QUERY, {WATCHED: "1x60"}, 0)

    def test_where_the_gateway_is_not_watched_it_is_not_known(self, tmp_path: Path) -> None:
        evaluate(tmp_path, self.QUERY, {}, None)
        evaluate(tmp_path, self.QUERY, {WATCHED: "0x60"}, None)

    @pytest.mark.parametrize(("at", "demand"), [("9m45s", 0), ("10m", 1), ("10m45s", 1), ("11m", 0)])
    def test_the_very_first_request_is_seen_for_a_minute(
        self, at: str, demand: float, tmp_path: Path
    ) -> None:
        evaluate(tmp_path, self.QUERY, self.FIRST, demand, at)

    def test_an_increase_would_not_see_it(self, tmp_path: Path) -> None:
        """Why the query is not the usual one."""
        counter = envoy("upstream_rq_pending_failure_eject")
        evaluate(tmp_path, f"sum(increase({counter}[1m]))", self.FIRST, 0, "10m45s")

    def test_requests_that_were_answered_and_those_under_way_count(self, tmp_path: Path) -> None:
        given = {
            WATCHED: "1x60",
            # Two a scrape, by each of two proxies: sixteen a minute.
            envoy("upstream_rq_total"): "0+2x60",
            envoy("upstream_rq_total", "envoy-2"): "0+2x60",
            envoy("upstream_rq_pending_failure_eject"): "0x60",
            envoy("upstream_rq_active"): "3x60",
        }
        evaluate(tmp_path, self.QUERY, given, 19)

    def test_a_proxy_that_starts_anew_takes_nothing_away(self, tmp_path: Path) -> None:
        given = {
            WATCHED: "1x60",
            envoy("upstream_rq_total"): "500x38 0x20",
            envoy("upstream_rq_pending_failure_eject"): "0x60",
            envoy("upstream_rq_active"): "0x60",
        }
        evaluate(tmp_path, self.QUERY, given, 0)


class TestAdapterRule:
    """The query that Prometheus Adapter makes of its rule for some pods of a HorizontalPodAutoscaler."""

    @property
    def query(self) -> str:
        rule = gpu_rule()["metricsQuery"]
        filled = {
            "<<.Series>>": "DCGM_FI_DEV_GPU_UTIL",
            "<<.LabelMatchers>>": f'namespace="{NAMESPACE}",pod=~"p-1|p-2"',
            "<<.GroupBy>>": "pod",
        }
        for placeholder, text in filled.items():
            rule = rule.replace(placeholder, text)
        assert "<<" not in rule
        return rule

    def test_each_pod_has_the_mean_of_its_gpus(self, tmp_path: Path) -> None:
        given = {
            gpu("p-1", "0"): "100x60",
            gpu("p-1", "1"): "50x60",
            gpu("p-2", "0"): "20x60",
            gpu("q-1", "0", model="another"): "99x60",
            gpu("p-1", "0", namespace="llm-dev"): "1x60",
        }
        evaluate(tmp_path, self.query, given, {'{pod="p-1"}': 75, '{pod="p-2"}': 20})

    def test_labels_that_prometheus_renamed_would_be_no_pod_s(self, tmp_path: Path) -> None:
        """What a ServiceMonitor without honorLabels leads to: `pod` is the exporter's."""
        given = {
            'DCGM_FI_DEV_GPU_UTIL{namespace="gpu",pod="dcgm-1",exported_namespace="llm-prod",exported_pod="p-1"}': "9x60"
        }
        evaluate(tmp_path, self.query, given, {})
