"""Alerts on one model: its load, its replicas, its scaler, and that its numbers are there. Pure.

Times are those that a person can act on: a burst that a scaler answers within minutes is none of theirs.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from components.model_names import predictor_name
from components.signals import gateway_cluster
from components.telemetry.rules import MODEL, Alert, group, of_model
from settings.keda import KedaScaling
from settings.models import Model
from settings.scaling import HpaScaling
from settings.versions import versions_of

KV_CACHE_FULL: Final = 0.95
"""Share of the KV cache. Above it new requests wait, and running ones are put back."""
PREEMPTED_SHARE: Final = 0.1
"""Preemptions a request: each is computed again, from its first token."""
RESTARTS: Final = 2
"""Of one container in half an hour."""


def model_alerts(namespace: str, model: Model, *, gateway: bool) -> dict[str, Any]:
    """Return the group of a model, and of its candidate where one stands beside it."""
    alerts = [*_of_load(namespace, model)]
    for version in versions_of(model):
        alerts += [*_of_replicas(namespace, version), *_of_scaler(namespace, version)]
    alerts.append(_missing(namespace, model, gateway=gateway))
    named = [replace(alert, labels={"model": model.name}) for alert in alerts]
    return group(f"{model.name}-alerts", [alert.rule() for alert in named])


def _of_load(namespace: str, model: Model) -> Iterator[Alert]:
    own = of_model(namespace, model.name)
    yield Alert(
        name="RequestsWait",
        severity="warning",
        expression=(
            f"sum(max by (pod, engine) (vllm:num_requests_waiting{own}))"
            f" > sum(max by (pod, engine) (vllm:num_requests_running{own}))"
        ),
        wait="10m",
        summary=f"More requests wait for {model.name} than run",
        description="{{ $value }} requests wait for a place in an engine.",
    )
    yield Alert(
        name="KvCacheFull",
        severity="warning",
        expression=f"max by (pod, engine) (vllm:kv_cache_usage_perc{own}) > {KV_CACHE_FULL}",
        wait="10m",
        summary=f"The KV cache of a replica of {model.name} is full",
        description="Of {{ $labels.pod }} {{ $value | humanizePercentage }} are in use.",
    )
    yield Alert(
        name="RequestsPreempted",
        severity="warning",
        expression=(
            f"sum(rate(vllm:num_preemptions_total{own}[10m]))"
            f" > {PREEMPTED_SHARE} * sum(rate(vllm:request_success_total{own}[10m]))"
        ),
        wait="10m",
        summary=f"Engines of {model.name} put requests back for want of KV cache",
        description="{{ $value | humanize }} preemptions a second.",
    )


def _of_replicas(namespace: str, version: Model) -> Iterator[Alert]:
    deployment = predictor_name(version.name)
    pods = f'namespace="{namespace}",pod=~"{deployment}-[a-z0-9]+-[a-z0-9]+"'
    if version.min_replicas:
        ready = f'kube_deployment_status_replicas_ready{{namespace="{namespace}",deployment="{deployment}"}}'
        # What says it must be there itself: a Deployment that is gone has no replica either.
        gone = f"absent({ready}) and on () count(kube_deployment_status_replicas_ready)"
        yield Alert(
            name="ReplicasBelowMinimum",
            severity="critical",
            expression=f"max({ready}) < {version.min_replicas} or {gone}",
            wait="15m",
            summary=f"{version.name} has fewer ready replicas than its least",
            description=f"{version.min_replicas} are the least.",
        )
    yield Alert(
        name="EngineRestarts",
        severity="warning",
        expression=(
            # Of two restarts `increase` says a little more than two: it is stretched to the window's ends.
            f"max by (pod) (increase(kube_pod_container_status_restarts_total{{{pods}}}[30m])) > {RESTARTS + 0.5}"
        ),
        wait="0m",
        summary=f"A pod of {version.name} starts again and again",
        description="{{ $labels.pod }}: {{ $value | humanize }} restarts in half an hour.",
    )


def _of_scaler(namespace: str, version: Model) -> Iterator[Alert]:
    failing: list[str] = []
    scaler = version.autoscaling
    if isinstance(scaler, KedaScaling):
        # Its namespace is Prometheus' own word for where KEDA runs; where the model is, is another label's.
        failing.append(
            f'sum(increase(keda_scaler_detail_errors_total{{scaledObject="{version.name}",exported_namespace="{namespace}"}}[10m])) > 0'
        )
    # At no replica Kubernetes has the scaler rest, and says so by the same condition.
    if isinstance(scaler, KedaScaling | HpaScaling) and version.min_replicas:
        name = f"keda-hpa-{version.name}" if isinstance(scaler, KedaScaling) else version.name
        labels = f'namespace="{namespace}",horizontalpodautoscaler="{name}",condition="ScalingActive",status="false"'
        failing.append(f"max(kube_horizontalpodautoscaler_status_condition{{{labels}}}) == 1")
    if failing:
        yield Alert(
            name="ScalerWithoutMetric",
            severity="warning",
            expression=" or ".join(failing),
            wait="15m",
            summary=f"The scaler of {version.name} does not get its numbers",
            description="The number of replicas is that of the fallback, or does not change.",
        )


def _missing(namespace: str, model: Model, *, gateway: bool) -> Alert:
    """Blind while it serves: by the gateway's count, or by ready replicas where no gateway counts."""
    if gateway:
        cluster = gateway_cluster(namespace, model.name)
        answered = (
            f'envoy_cluster_upstream_rq_xx{{envoy_cluster_name="{cluster}",envoy_response_code_class="2"}}'
        )
        serves = f"sum(increase({answered}[10m])) > 0"
    else:
        deployment = predictor_name(model.name)
        serves = f'max(kube_deployment_status_replicas_ready{{namespace="{namespace}",deployment="{deployment}"}}) > 0'
    return Alert(
        name="TelemetryMissing",
        severity="critical",
        expression=f"{serves} and on () absent(vllm:num_requests_running{of_model(namespace, model.name)})",
        wait="10m",
        summary=f"{model.name} serves, and nothing is known of its engines",
        description=f"No series of any engine has the label {MODEL} of this model: scalers and all other alerts are blind.",
    )
