"""Every alert of prod, in Prometheus' own engine: it is silent, it fires, it ends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from components.telemetry.model_rules import RECORDED, rules_of
from components.telemetry.recorded import MILLION_COST, TOKENS
from components.telemetry.replica_rules import COST
from settings import Settings, load_stack_file
from settings.addons import Addons
from tests.rehearsal.conftest import REPOSITORY
from tests.rehearsal.rule_series import counts, expect, levels, promtool, rule_file

pytestmark = pytest.mark.rehearsal

PROD: Final = load_stack_file(REPOSITORY / "Pulumi.prod.yaml")
WITHOUT_GATEWAY: Final = PROD.model_copy(
    update={"addons": Addons(envoy_gateway="off"), "models": PROD.models[:1]}
)
NAMESPACE: Final = "llm-prod"
MODEL: Final = "qwen-7b-vllm"
PODS: Final = f'namespace="{NAMESPACE}",vllm_platform_io_model="{MODEL}",pod="p-1"'
ENGINE: Final = f'{{{PODS},engine="0"}}'
DEPLOYMENT: Final = f'{{namespace="{NAMESPACE}",deployment="{MODEL}-predictor"}}'
ROUTE: Final = f'envoy_cluster_name="httproute/{NAMESPACE}/{MODEL}/rule/0"'
GPU: Final = f'{{gpu="0",node="gpu-1",vllm_platform_io_model="{MODEL}"}}'
INACTIVE: Final = f'namespace="{NAMESPACE}",horizontalpodautoscaler="keda-hpa-{MODEL}",condition="ScalingActive",status="false"'
DAY: Final = 24 * 3600


def answers(status_class: int) -> str:
    return f'envoy_cluster_upstream_rq_xx{{{ROUTE},envoy_response_code_class="{status_class}"}}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """Minutes at which an alert is silent, fires, and is silent again. labels: beside alertname and severity."""

    alert: str
    given: dict[str, str]
    silent: tuple[int, ...]
    fires: int
    ends: int
    severity: str = "warning"
    labels: str = f'model="{MODEL}"'
    settings: Settings = PROD


LATENCY: Final = "vllm:time_to_first_token_seconds"
BURN: Final = {
    answers(2): counts((60, 60), (54, 60), (60, 500)),
    answers(5): counts((0, 60), (6, 60), (0, 500)),
}
CASES: Final[dict[str, Case]] = {
    "a tenth of the requests fails for an hour": Case(
        alert="ErrorBudgetBurnsFast",
        severity="critical",
        labels=f'model="{MODEL}",slo="availability"',
        given=BURN,
        silent=(59,),
        fires=118,
        ends=165,
    ),
    "and a part of the month's budget is gone": Case(
        alert="ErrorBudgetBurns",
        labels=f'model="{MODEL}",slo="availability"',
        given=BURN,
        silent=(59,),
        fires=118,
        ends=600,
    ),
    "by the middleware's count where there is no gateway": Case(
        alert="ErrorBudgetBurnsFast",
        severity="critical",
        labels=f'model="{MODEL}",slo="availability"',
        settings=WITHOUT_GATEWAY,
        given={
            f'vllm_platform_requests_total{{{PODS},status_code="200"}}': counts((60, 60), (54, 60), (60, 60)),
            f'vllm_platform_requests_total{{{PODS},status_code="503"}}': counts((0, 60), (6, 60), (0, 60)),
        },
        silent=(59,),
        fires=118,
        ends=165,
    ),
    "a fifth of the first tokens comes late": Case(
        alert="ErrorBudgetBurnsFast",
        severity="critical",
        labels=f'model="{MODEL}",slo="first-token"',
        given={
            f"{LATENCY}_count{ENGINE}": counts((60, 180)),
            f'{LATENCY}_bucket{{{PODS},engine="0",le="2.5"}}': counts((60, 60), (48, 60), (60, 60)),
        },
        silent=(59,),
        fires=118,
        ends=170,
    ),
    "more wait than run": Case(
        alert="RequestsWait",
        given={
            f"vllm:num_requests_waiting{ENGINE}": levels((0, 10), (9, 20), (0, 30)),
            f"vllm:num_requests_running{ENGINE}": levels((5, 60)),
        },
        silent=(5, 18),
        fires=25,
        ends=35,
    ),
    "a cache is full": Case(
        alert="KvCacheFull",
        given={f"vllm:kv_cache_usage_perc{ENGINE}": levels((0.5, 10), (0.97, 20), (0.5, 30))},
        silent=(5, 18),
        fires=25,
        ends=35,
    ),
    "requests are put back": Case(
        alert="RequestsPreempted",
        given={
            f"vllm:num_preemptions_total{ENGINE}": counts((1, 20), (30, 30), (1, 40)),
            f'vllm:request_success_total{{{PODS},engine="0",finished_reason="stop"}}': counts((60, 90)),
        },
        silent=(15,),
        fires=45,
        ends=75,
    ),
    "two of three replicas": Case(
        alert="ReplicasBelowMinimum",
        severity="critical",
        given={f"kube_deployment_status_replicas_ready{DEPLOYMENT}": levels((3, 10), (2, 30), (3, 20))},
        silent=(5, 20),
        fires=35,
        ends=45,
    ),
    "a Deployment that is gone": Case(
        alert="ReplicasBelowMinimum",
        severity="critical",
        given={
            f"kube_deployment_status_replicas_ready{DEPLOYMENT}": "3x9 _x29 3x20",
            'kube_deployment_status_replicas_ready{namespace="other",deployment="other"}': levels((1, 60)),
        },
        silent=(5, 20),
        fires=35,
        ends=45,
    ),
    "a container that starts again and again": Case(
        alert="EngineRestarts",
        given={
            f'kube_pod_container_status_restarts_total{{namespace="{NAMESPACE}",pod="{MODEL}-predictor-7d9-x2x",container="c"}}': (
                levels((0, 10), (1, 5), (2, 5), (3, 5), (4, 60))
            )
        },
        silent=(12,),
        fires=26,
        ends=70,
    ),
    "KEDA does not get its numbers": Case(
        alert="ScalerWithoutMetric",
        given={
            f'keda_scaler_detail_errors_total{{exported_namespace="{NAMESPACE}",scaledObject="{MODEL}",namespace="keda"}}': (
                counts((0, 10), (2, 30), (0, 40))
            )
        },
        silent=(9, 20),
        fires=38,
        ends=60,
    ),
    "its autoscaler does nothing": Case(
        alert="ScalerWithoutMetric",
        given={
            f"kube_horizontalpodautoscaler_status_condition{{{INACTIVE}}}": (
                levels((0, 10), (1, 30), (0, 20))
            )
        },
        silent=(5, 20),
        fires=35,
        ends=45,
    ),
    "the gateway has answers, and no engine is seen": Case(
        alert="TelemetryMissing",
        severity="critical",
        given={
            answers(2): counts((60, 60)),
            f"vllm:num_requests_running{ENGINE}": "1x9 _x29 1x20",
        },
        silent=(8, 15),
        fires=35,
        ends=45,
    ),
    "replicas are ready, and no engine is seen": Case(
        alert="TelemetryMissing",
        severity="critical",
        settings=WITHOUT_GATEWAY,
        given={
            f"kube_deployment_status_replicas_ready{DEPLOYMENT}": levels((3, 60)),
            f"vllm:num_requests_running{ENGINE}": "1x9 _x29 1x20",
        },
        silent=(8, 15),
        fires=35,
        ends=45,
    ),
    "a GPU has fallen off the bus": Case(
        alert="GpuXidError",
        severity="critical",
        given={f"DCGM_FI_DEV_XID_ERRORS{GPU}": levels((0, 5), (79, 5), (0, 5))},
        silent=(4,),
        fires=6,
        ends=12,
    ),
    "a program's error comes before one of the hardware": Case(
        alert="GpuXidError",
        severity="critical",
        given={f"DCGM_FI_DEV_XID_ERRORS{GPU}": levels((13, 5), (48, 5), (31, 5))},
        silent=(4,),
        fires=6,
        ends=12,
    ),
    "broken rows": Case(
        alert="GpuMemoryBroken",
        severity="critical",
        given={f"DCGM_FI_DEV_ROW_REMAP_FAILURE{GPU}": levels((0, 5), (1, 5), (0, 5))},
        silent=(4,),
        fires=6,
        ends=12,
    ),
    "a GPU's memory is full": Case(
        alert="GpuMemoryFull",
        given={
            f"DCGM_FI_DEV_FB_USED{GPU}": levels((900, 10), (990, 30), (900, 20)),
            f"DCGM_FI_DEV_FB_FREE{GPU}": levels((90, 10), (0, 30), (90, 20)),
            f"DCGM_FI_DEV_FB_RESERVED{GPU}": levels((10, 60)),
        },
        silent=(5, 20),
        fires=35,
        ends=45,
    ),
    "GPUs that nobody reads": Case(
        alert="GpuTelemetryMissing",
        labels="",
        given={
            f'kube_pod_container_resource_requests{{namespace="{NAMESPACE}",resource="nvidia_com_gpu",pod="p-1",node="gpu-1"}}': (
                levels((1, 60))
            ),
            f"DCGM_FI_DEV_GPU_UTIL{GPU}": "50x9 _x29 50x20",
        },
        silent=(8, 20),
        fires=35,
        ends=45,
    ),
    "nobody counts requests": Case(
        alert="RequestsNotCounted",
        severity="critical",
        labels="",
        given={
            f"envoy_cluster_ratelimit_error{{{ROUTE}}}": counts((0, 10), (60, 20), (0, 30)),
            # The proxy answers by itself: of the model's upstream nothing is counted.
            answers(2): counts((60, 10), (0, 20), (60, 30)),
        },
        silent=(9, 11),
        fires=25,
        ends=40,
    ),
    "a certificate is not renewed": Case(
        alert="CertificateEndsSoon",
        labels="",
        given={
            'certmanager_certificate_expiration_timestamp_seconds{name="webhook",exported_namespace="kserve"}': (
                levels((30 * DAY, 10), (3 * DAY, 100), (90 * DAY, 20))
            )
        },
        silent=(5, 60),
        fires=90,
        ends=115,
    ),
}


def alerts_of(settings: Settings) -> list[dict[str, Any]]:
    groups = [group for groups in rules_of(settings).values() for group in groups]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def rules_of_one(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Rules without those of other models, of which the series of a case say nothing."""
    rules = rules_of(settings)
    others = {f"model-{model.name}" for model in settings.models if model.name != MODEL}
    return {name: groups for name, groups in rules.items() if name not in others}


def firing(alert: str, more: str = "") -> str:
    inside = f'alertname="{alert}",alertstate="firing"{"," if more else ""}{more}'
    return f"count by (alertname, severity, model, slo) (ALERTS{{{inside}}})"


@pytest.mark.parametrize("name", CASES)
def test_it_is_silent_fires_and_ends(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    query = firing(case.alert)
    labels = (
        f'{{alertname="{case.alert}",severity="{case.severity}"{"," if case.labels else ""}{case.labels}}}'
    )
    expect(
        rule_file(rules_of_one(case.settings), tmp_path),
        case.given,
        [
            *((query, minute, {}) for minute in (*case.silent, case.ends)),
            (query, case.fires, {labels: 1}),
        ],
    )


def test_every_alert_has_a_case() -> None:
    assert {rule["alert"] for rule in alerts_of(PROD)} == {case.alert for case in CASES.values()}


def test_nothing_fires_where_nothing_is_wrong_and_nothing_where_nobody_asks(tmp_path: Path) -> None:
    quiet = {
        answers(2): counts((0, 60), (60, 60)),
        answers(5): levels((0, 120)),
        f"{LATENCY}_count{ENGINE}": levels((5, 120)),
        f'{LATENCY}_bucket{{{PODS},engine="0",le="2.5"}}': levels((5, 120)),
        f"vllm:num_requests_running{ENGINE}": levels((0, 120)),
        f"vllm:num_requests_waiting{ENGINE}": levels((0, 120)),
        f"vllm:num_preemptions_total{ENGINE}": levels((0, 120)),
        f'vllm:request_success_total{{{PODS},engine="0",finished_reason="stop"}}': levels((9, 120)),
        f"kube_deployment_status_replicas_ready{DEPLOYMENT}": levels((3, 120)),
        f"DCGM_FI_DEV_XID_ERRORS{GPU}": levels((0, 120)),
    }
    rules = rule_file({"of one model": rules_of(PROD)[f"model-{MODEL}"]}, tmp_path)
    expect(rules, quiet, [("ALERTS", minute, {}) for minute in (30, 59, 119)])


def test_two_restarts_are_not_more_than_two(tmp_path: Path) -> None:
    pod = f'namespace="{NAMESPACE}",pod="{MODEL}-predictor-7d9-x2x",container="c"'
    given = {
        f"kube_pod_container_status_restarts_total{{{pod}}}": levels((5, 10), (6, 5), (7, 60)),
    }
    rules = rule_file(rules_of_one(PROD), tmp_path)
    expect(rules, given, [(firing("EngineRestarts"), minute, {}) for minute in range(10, 60)])


def test_pods_that_wait_for_a_gpu_have_none(tmp_path: Path) -> None:
    waiting = f'namespace="{NAMESPACE}",resource="nvidia_com_gpu",pod="p-1"'
    given = {f"kube_pod_container_resource_requests{{{waiting}}}": levels((1, 60))}
    rules = rule_file(rules_of_one(PROD), tmp_path)
    expect(rules, given, [(firing("GpuTelemetryMissing"), 50, {})])


def test_a_million_tokens_cost_what_the_hour_cost_also_where_the_engine_was_there_for_a_part_of_it(
    tmp_path: Path,
) -> None:
    """Ten minutes of work, and then no replica, of which the price is asked for all the same: a node is paid by the hour."""
    labels = f'namespace="{NAMESPACE}",vllm_platform_io_model="{MODEL}"'
    given = {
        f"vllm:prompt_tokens_total{ENGINE}": "0+60000x40 _x220",
        f"vllm:generation_tokens_total{ENGINE}": "0x40 _x220",
        f"{COST}{{{labels}}}": levels((1, 65)),
    }
    rules = rule_file({RECORDED: rules_of(PROD)[RECORDED]}, tmp_path)
    # 2.4 million tokens for one dollar an hour.
    query = f"round(100 * {MILLION_COST}, 5)"
    expect(rules, given, [(query, 60, {f"{{{labels}}}": 40})])


def test_tokens_that_were_processed_are_a_counter_of_each_engine(tmp_path: Path) -> None:
    given = {
        f"vllm:prompt_tokens_total{ENGINE}": counts((600, 30)),
        f"vllm:generation_tokens_total{ENGINE}": counts((60, 30)),
    }
    rules = rule_file(rules_of(PROD), tmp_path)
    rate = f'sum by (pod) (rate({TOKENS}{{vllm_platform_io_model="{MODEL}"}}[10m]))'
    expect(rules, given, [(rate, 25, {'{pod="p-1"}': 11})])


def test_promtool_takes_the_rules_of_prod(tmp_path: Path) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(rule_file(rules_of(PROD), tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
