"""Capacity and cost: how many GPUs there are, who has them, how near models are to their most, what that costs. Pure."""

from typing import Final

from components.dashboards.panels import Board, Limit, Panel, Query, Row
from components.dashboards.selectors import BY_MODEL, MODELS, PLACE, models, namespaces
from components.telemetry.recorded import MILLION_COST, PROCESSED
from components.telemetry.replica_rules import COST, MOST, READY, WANTED
from components.telemetry.rules import MODEL

HOURS_A_MONTH: Final = 730
"""As AWS's own calculator counts."""
NO_DEPLOYMENT: Final = "No Deployment in this time"
NO_NODE: Final = "No node with a GPU in this time"
_GPU: Final = 'resource="nvidia_com_gpu"'
"""kube-state-metrics' spelling of nvidia.com/gpu."""
_GIVEN: Final = f'kube_pod_container_resource_requests{{{_GPU},node!=""}}'
"""A pod that waits for a node has none yet."""


def capacity(namespace: str, *, priced: bool, keda: bool) -> Board:
    """Return the dashboard. priced: what replicas cost is known. keda: some model is scaled by it."""
    return Board(
        name="capacity",
        title="Capacity and cost",
        description="How many GPUs there are, who has them, how near models are to their most, and what that costs.",
        variables=(namespaces(namespace), models()),
        rows=(
            Row(panels=(_gpus(), *((_hour(), _month()) if priced else ())), height="low"),
            Row(panels=(_given(), _pending())),
            Row(panels=(_replicas(), _of_most())),
            *((Row(panels=(_cost(), _token_cost())),) if priced else ()),
            Row(panels=(_per_replica(), *((_signals(),) if keda else ()))),
        ),
    )


def _gpus() -> Panel:
    return Panel(
        title="GPUs",
        description="That nodes offer, and that pods of any namespace have.",
        unit="none",
        queries=(
            Query(expression=f"sum(kube_node_status_allocatable{{{_GPU}}})", legend="there"),
            Query(expression=f"sum({_GIVEN})", legend="given"),
        ),
        nothing=NO_NODE,
        now=True,
    )


def _hour() -> Panel:
    return Panel(
        title="Cost an hour",
        description="Of the models' replicas: their share of their nodes, at the list price on demand. What of a node nobody uses is not in it.",
        unit="currencyUSD",
        queries=(Query(expression=f"sum({COST}{{{MODELS}}})", legend="USD an hour"),),
        nothing=NO_DEPLOYMENT,
        now=True,
    )


def _month() -> Panel:
    return Panel(
        title="Cost a month",
        description=f"If it stayed as in the last day, {HOURS_A_MONTH} hours long.",
        unit="currencyUSD",
        queries=(
            Query(
                # The sum first: a version that lived an hour has one hour's series.
                expression=f"{HOURS_A_MONTH} * avg_over_time(sum({COST}{{{MODELS}}})[1d:1m])",
                legend="USD a month",
            ),
        ),
        nothing=NO_DEPLOYMENT,
        now=True,
    )


def _given() -> Panel:
    asked = f"sum by (namespace) ({_GIVEN})"
    return Panel(
        title="GPUs by namespace",
        description="That pods have, and those that nobody has.",
        unit="short",
        queries=(
            Query(expression=asked, legend="{{namespace}}"),
            Query(
                expression=(f"sum(kube_node_status_allocatable{{{_GPU}}}) - (sum({_GIVEN}) or vector(0))"),
                legend="free",
            ),
        ),
        nothing=NO_NODE,
    )


def _pending() -> Panel:
    return Panel(
        title="Pods that wait for a node",
        description="Of the models' namespace. For longer than a node takes to come, GPUs are missing, or a quota is used up.",
        unit="short",
        queries=(
            Query(expression=f'sum(kube_pod_status_phase{{{PLACE},phase="Pending"}})', legend="pending"),
        ),
        nothing="kube-state-metrics knows of no pod there",
        limits=(Limit(value=1, color="yellow"),),
        alerts=("ReplicasBelowMinimum",),
    )


def _replicas() -> Panel:
    return Panel(
        title="Replicas by model",
        description="That are ready, of all versions.",
        unit="short",
        queries=(Query(expression=f"sum by ({MODEL}) ({READY}{{{MODELS}}})", legend=BY_MODEL),),
        nothing=NO_DEPLOYMENT,
        alerts=("ReplicasBelowMinimum",),
    )


def _of_most() -> Panel:
    return Panel(
        title="Replicas of the most",
        description="Share of the replicas that a scaler may ask for. At 100 % it can do no more, and requests will wait.",
        unit="percentunit",
        queries=(
            Query(
                expression=f"sum by ({MODEL}) ({WANTED}{{{MODELS}}}) / sum by ({MODEL}) ({MOST}{{{MODELS}}})",
                legend=BY_MODEL,
            ),
        ),
        nothing=NO_DEPLOYMENT,
        limits=(Limit(value=0.9, color="yellow"), Limit(value=1, color="orange")),
        alerts=("RequestsWait",),
        most=1,
    )


def _cost() -> Panel:
    return Panel(
        title="Cost an hour, by model",
        description="Of the replicas that are asked for: their share of their nodes, at the list price on demand.",
        unit="currencyUSD",
        queries=(Query(expression=f"sum by ({MODEL}) ({COST}{{{MODELS}}})", legend=BY_MODEL),),
        nothing=NO_DEPLOYMENT,
    )


def _token_cost() -> Panel:
    return Panel(
        title="Cost of a million tokens, by model",
        description="Of the last hour, by tokens read and written. It falls as GPUs are busier, and idle replicas raise it.",
        unit="currencyUSD",
        queries=(Query(expression=f"{MILLION_COST}{{{MODELS}}}", legend=BY_MODEL),),
        nothing="No tokens in this time",
    )


def _per_replica() -> Panel:
    ready = f"sum by (namespace, {MODEL}) ({READY}{{{MODELS}}})"
    return Panel(
        title="Tokens a second of one replica",
        description="Read and written, by model. What a replica can do is where this no longer rises while requests wait.",
        unit="cps",
        queries=(Query(expression=f"{PROCESSED}{{{MODELS}}} / ({ready} > 0)", legend=BY_MODEL),),
        nothing="No replica in this time",
    )


def _signals() -> Panel:
    return Panel(
        title="What KEDA sees",
        description="Sum over the replicas of each signal; by its target for one replica it is the number of replicas that are needed.",
        unit="short",
        queries=(
            Query(
                expression=(
                    'max by (scaledObject, scaler, metric) (keda_scaler_metrics_value{exported_namespace="$namespace",scaledObject=~"($model).*"})'
                ),
                legend="{{scaledObject}} {{scaler}}",
            ),
        ),
        nothing="KEDA has not asked for any signal",
        alerts=("ScalerWithoutMetric",),
    )
