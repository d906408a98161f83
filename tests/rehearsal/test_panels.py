"""Each panel of prod, each signal of a scaler and each question of the judge has an answer, by Prometheus' own engine.

Over series with the names and labels that the exporters have: `test_metric_names.py` compares the names. Recorded rules are
prod's own. An expression that asks for a name or a label that no series has is red here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.telemetry.model_rules import rules_of
from settings import load_stack_file
from tests.promql import asked_elsewhere, shown
from tests.rehearsal.conftest import REPOSITORY
from tests.rehearsal.rule_series import promtool, rule_file

pytestmark = pytest.mark.rehearsal

PROD: Final = load_stack_file(REPOSITORY / "Pulumi.prod.yaml")
AT: Final = "30m"
SAMPLES: Final = 130
"""Each 15 s."""
# Without labels of a place, as `asked_elsewhere` asks.
JUDGE: Final = "chat"
NAMESPACE: Final = "llm-prod"


def _with(metric: str, /, **labels: str) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{metric}{{{inside}}}"


def _of_engine(model: str, track: str = "stable") -> dict[str, str]:
    """Return series of one replica: its engine's, its middleware's, its GPU's, and what Kubernetes and KEDA say of it."""
    suffix = "" if track == "stable" else "-canary"
    deployment = f"{model}{suffix}-predictor"
    pod = f"{deployment}-5d9c7b8f6-x2x4z"
    place = {"namespace": NAMESPACE, "pod": pod}
    labels = {
        "vllm_platform_io_model": model,
        "vllm_platform_io_track": track,
        "app_kubernetes_io_version": "v1.0",
        "serving_kserve_io_inferenceservice": f"{model}{suffix}",
    }
    own = {**place, **labels}
    engine = {**own, "engine": "0", "model_name": model}
    rising, level = f"0+15x{SAMPLES}", f"0.5x{SAMPLES}"
    found = {
        _with(f"vllm:{gauge}", **engine): level
        for gauge in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    }
    found |= {
        _with(f"vllm:{counter}_total", **engine): rising
        for counter in (
            "prompt_tokens",
            "generation_tokens",
            "prefix_cache_hits",
            "prefix_cache_queries",
            "num_preemptions",
        )
    }
    found[_with("vllm:request_success_total", **engine, finished_reason="stop")] = rising
    for histogram in (
        "time_to_first_token_seconds",
        "inter_token_latency_seconds",
        "e2e_request_latency_seconds",
        "request_queue_time_seconds",
    ):
        for bound in ("0.1", "0.3", "2.5", "+Inf"):
            found[_with(f"vllm:{histogram}_bucket", **engine, le=bound)] = rising
        found |= {_with(f"vllm:{histogram}_{part}", **engine): rising for part in ("sum", "count")}
    for status in ("200", "404", "500"):
        found[_with("vllm_platform_requests_total", **own, status_code=status)] = rising
        found[_with("vllm_platform_consumer_requests_total", **own, consumer="a", status_code=status)] = (
            rising
        )
    found[_with("vllm_platform_consumer_tokens_total", **own, consumer="a", kind="prompt")] = rising
    gpu = {**own, "gpu": "0", "node": "a10-1", "UUID": "GPU-0", "modelName": "NVIDIA A10G"}
    for gauge in ("GPU_UTIL", "FB_USED", "FB_FREE", "FB_RESERVED", "GPU_TEMP", "POWER_USAGE", "XID_ERRORS"):
        found[_with(f"DCGM_FI_DEV_{gauge}", **gpu)] = level
    for gauge in ("ROW_REMAP_FAILURE", "UNCORRECTABLE_REMAPPED_ROWS"):
        found[_with(f"DCGM_FI_DEV_{gauge}", **gpu)] = f"0x{SAMPLES}"
    for gauge in ("PIPE_TENSOR_ACTIVE", "DRAM_ACTIVE"):
        found[_with(f"DCGM_FI_PROF_{gauge}", **gpu)] = level
    of_deployment = {"namespace": NAMESPACE, "deployment": deployment}
    found |= {
        _with(f"kube_deployment_{number}", **of_deployment): f"2x{SAMPLES}"
        for number in ("spec_replicas", "status_replicas_ready")
    }
    asked = {**place, "resource": "nvidia_com_gpu", "unit": "integer", "node": "a10-1"}
    found[_with("kube_pod_container_resource_requests", **asked)] = f"1x{SAMPLES}"
    # The namespace in it is where KEDA runs: its monitor does not honor labels.
    scaler = {
        "namespace": "keda",
        "exported_namespace": NAMESPACE,
        "scaledObject": model,
        "scaler": "running",
    }
    found[_with("keda_scaler_metrics_value", **scaler, metric="s0-prometheus")] = level
    return found


def _of_gateway(model: str) -> dict[str, str]:
    own = {"namespace": NAMESPACE, "job": f"{NAMESPACE}/gateway", "pod": "envoy-1"}
    upstream = {**own, "envoy_cluster_name": f"httproute/{NAMESPACE}/{model}/rule/0"}
    manager = {**own, "envoy_http_conn_manager_prefix": "http-10080"}
    rising = f"0+15x{SAMPLES}"
    found = {
        _with("up", **own): f"1x{SAMPLES}",
        _with("envoy_cluster_upstream_rq_active", **upstream): f"2x{SAMPLES}",
        _with("envoy_cluster_upstream_rq_xx", **upstream, envoy_response_code_class="2"): rising,
        _with("envoy_http_downstream_rq_xx", **manager, envoy_response_code_class="2"): rising,
    }
    for counter in ("upstream_rq_total", "upstream_rq_pending_failure_eject"):
        found[_with(f"envoy_cluster_{counter}", **upstream)] = rising
    for outcome in ("allowed", "denied"):
        found[_with(f"envoy_http_jwt_authn_{outcome}", **manager)] = rising
    for bound in ("5", "2500", "+Inf"):
        found[_with("envoy_cluster_upstream_rq_time_bucket", **upstream, le=bound)] = rising
    for outcome in ("success", "error"):
        endpoint = {**upstream, "envoy_endpoint_address": "10.0.0.7:8000"}
        found[_with(f"envoy_cluster_endpoint_rq_{outcome}", **endpoint)] = rising
    return found


def series() -> dict[str, str]:
    """Return what Prometheus has of prod, with a candidate beside the first model."""
    models = PROD.enabled_models
    found = _of_engine(models[0].name, "canary")
    for name in (*(model.name for model in models), JUDGE):
        found |= {**_of_engine(name), **_of_gateway(name)}
    node = {"node": "a10-1", "resource": "nvidia_com_gpu", "unit": "integer"}
    found[_with("kube_node_status_allocatable", **node)] = f"4x{SAMPLES}"
    pending = {"namespace": NAMESPACE, "pod": "chat-1", "phase": "Pending"}
    return found | {_with("kube_pod_status_phase", **pending): f"0x{SAMPLES}"}


def answers(expressions: Mapping[str, str], given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return those expressions, by place, that have no answer, and what promtool says."""
    tests: list[dict[str, Any]] = [
        {
            "expr": f"count({expression}) > bool 0",
            "eval_time": AT,
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for expression in expressions.values()
    ]
    document: dict[str, Any] = {
        "rule_files": [str(rule_file(rules_of(PROD), folder))],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", str(path))
    if done.returncode == 0:
        return {}
    said = done.stdout + done.stderr
    # It quotes as Go does, which for these texts is JSON's way.
    silent = {
        place: text
        for place, text in expressions.items()
        if f"expr: {json.dumps(f'count({text})')[:-1]}" in said
    }
    return silent or {"promtool": said}


def asked() -> dict[str, str]:
    """Return all expressions by where they are from."""
    found: dict[str, str] = {}
    for number, (place, text) in enumerate(
        [*shown(PROD), *(("elsewhere", text) for text in asked_elsewhere())]
    ):
        found[f"{place} ({number})"] = text
    return found


def test_each_panel_signal_and_question_has_an_answer(tmp_path: Path) -> None:
    assert len(asked()) > 80
    assert answers(asked(), series(), tmp_path) == {}


@pytest.mark.parametrize(
    ("renamed", "panel"),
    [
        ("DCGM_FI_DEV_GPU_TEMP", "gpus: Temperature"),
        ("vllm:request_queue_time_seconds_bucket", "model: Time in the queue"),
        ("kube_node_status_allocatable", "capacity: GPUs"),
        ("kube_deployment_spec_replicas", "capacity: Cost an hour"),
        ("keda_scaler_metrics_value", "capacity: What KEDA sees"),
        ("envoy_http_jwt_authn_denied", "gateway: Tokens"),
    ],
)
def test_of_a_metric_that_was_renamed_the_panel_is_named(renamed: str, panel: str, tmp_path: Path) -> None:
    given = {name: values for name, values in series().items() if not name.startswith(f"{renamed}{{")}
    assert given.keys() < series().keys()
    silent = answers(asked(), given, tmp_path)
    assert any(place.startswith(panel) for place in silent), silent
