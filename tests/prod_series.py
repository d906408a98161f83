"""Series of prod with the names and labels that the exporters have, and every expression that the program asks.

Values are written as promtool writes them, one each 15 s: `0+15x130` rises by 15, `0.5x130` stays.
"""

from pathlib import Path
from typing import Final

from settings import load_stack_file
from tests.promql import asked_elsewhere, shown

PROD: Final = load_stack_file(Path(__file__).resolve().parents[1] / "Pulumi.prod.yaml")
SAMPLES: Final = 130
"""Each 15 s."""
# Without labels of a place, as `asked_elsewhere` asks.
JUDGE: Final = "chat"
NAMESPACE: Final = "llm-prod"


def _with(metric: str, /, **labels: str) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{metric}{{{inside}}}"


def version_labels(model: str, track: str = "stable") -> dict[str, str]:
    """Return the labels that a scrape gives the series of one replica."""
    service = model if track == "stable" else f"{model}-canary"
    return {
        "namespace": NAMESPACE,
        "pod": f"{service}-predictor-5d9c7b8f6-x2x4z",
        "vllm_platform_io_model": model,
        "vllm_platform_io_track": track,
        "app_kubernetes_io_version": "v1.0",
        "serving_kserve_io_inferenceservice": service,
    }


def versions() -> list[tuple[str, str]]:
    """Return the models with their tracks: all of prod, a candidate beside the first, and what judges are asked about."""
    names = [model.name for model in PROD.enabled_models]
    return [(names[0], "canary"), *((name, "stable") for name in (*names, JUDGE))]


def _of_engine(model: str, track: str) -> dict[str, str]:
    """Return series of one replica: its engine's, its middleware's, its GPU's, and what Kubernetes and KEDA say of it."""
    own = version_labels(model, track)
    place = {key: own[key] for key in ("namespace", "pod")}
    deployment = f"{own['serving_kserve_io_inferenceservice']}-predictor"
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
    found: dict[str, str] = {}
    for name, track in versions():
        found |= {**_of_engine(name, track), **_of_gateway(name)}
    node = {"node": "a10-1", "resource": "nvidia_com_gpu", "unit": "integer"}
    found[_with("kube_node_status_allocatable", **node)] = f"4x{SAMPLES}"
    pending = {"namespace": NAMESPACE, "pod": "chat-1", "phase": "Pending"}
    return found | {_with("kube_pod_status_phase", **pending): f"0x{SAMPLES}"}


def asked() -> dict[str, str]:
    """Return all expressions by where they are from."""
    found: dict[str, str] = {}
    for number, (place, text) in enumerate(
        [*shown(PROD), *(("elsewhere", text) for text in asked_elsewhere())]
    ):
        found[f"{place} ({number})"] = text
    return found
