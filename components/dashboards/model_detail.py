"""One model: how long its requests wait and take, what fills its engines, what its tokens cost. Pure."""

from typing import Final

from components.dashboards.panels import RATE, Board, Limit, Panel, Query, Row
from components.dashboards.selectors import (
    BY_TRACK,
    MODELS,
    NO_REPLICA,
    NO_REQUESTS,
    PLACE,
    models,
    namespaces,
)
from components.telemetry.model_alerts import KV_CACHE_FULL
from components.telemetry.objective_rules import ERRORS
from components.telemetry.recorded import ITL_P99, MILLION_COST, TTFT_MEAN, TTFT_P99
from components.telemetry.replica_rules import LEAST, MOST, READY, WANTED
from components.telemetry.rules import TRACK
from settings.objectives import Objectives

IDLE: Final = "No tokens in this time"
_OBJECTIVES: Final = Objectives()


def model_detail(namespace: str, *, first: str, priced: bool) -> Board:
    """Return the dashboard. first: the model that it shows at first. priced: what its replicas cost is known."""
    return Board(
        name="model",
        title="Model",
        description="One model: how long its requests wait and take, what fills its engines, what its tokens cost.",
        variables=(namespaces(namespace), models(several=False, first=first)),
        rows=(
            Row(panels=(_first_token(), _inter_token())),
            Row(panels=(_requests(), _queue())),
            Row(panels=(_cache(), _prefixes())),
            Row(panels=(_tokens(), *((_cost(),) if priced else ()))),
            Row(panels=(_ended(), _preempted())),
            Row(panels=(_budget(), _replicas())),
        ),
    )


def quantile(histogram: str, share: float, by: str = "") -> str:
    """Return a quantile of one of vLLM's histograms over a model's replicas. by: labels that are kept."""
    kept = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({kept}) (rate({histogram}_bucket{{{MODELS}}}{RATE})))"


def _first_token() -> Panel:
    return Panel(
        title="Time to first token",
        description="From a request's arrival at the engine to its first token; of an embedding to the answer.",
        unit="s",
        queries=(
            Query(expression=f"{TTFT_P99}{{{MODELS}}}", legend="P99"),
            Query(expression=quantile("vllm:time_to_first_token_seconds", 0.5), legend="P50"),
            Query(expression=f"{TTFT_MEAN}{{{MODELS}}}", legend="mean"),
        ),
        nothing=NO_REQUESTS,
        limits=(Limit(value=_OBJECTIVES.first_token_seconds or 0, color="red"),),
        alerts=("ErrorBudgetBurnsFast", "RequestsWait"),
    )


def _inter_token() -> Panel:
    return Panel(
        title="Time between tokens",
        description="Between two tokens of one answer: what a reader of a stream feels. An embedding has none.",
        unit="s",
        queries=(
            Query(expression=f"{ITL_P99}{{{MODELS}}}", legend="P99"),
            Query(expression=quantile("vllm:inter_token_latency_seconds", 0.5), legend="P50"),
        ),
        nothing=NO_REQUESTS,
        alerts=("ErrorBudgetBurnsFast",),
    )


def _requests() -> Panel:
    def in_engines(metric: str) -> str:
        return f"sum by ({TRACK}) (max by ({TRACK}, pod, engine) ({metric}{{{MODELS}}}))"

    return Panel(
        title="Requests in the engines",
        description="That are worked on, and that wait for a place, in all replicas. Where as many wait as run, replicas are missing.",
        unit="short",
        queries=(
            Query(expression=in_engines("vllm:num_requests_running"), legend=f"running {BY_TRACK}"),
            Query(expression=in_engines("vllm:num_requests_waiting"), legend=f"waiting {BY_TRACK}"),
        ),
        nothing=NO_REPLICA,
        alerts=("RequestsWait",),
    )


def _queue() -> Panel:
    return Panel(
        title="Time in the queue",
        description="What a request waits in the engine before it is worked on.",
        unit="s",
        queries=(
            Query(expression=quantile("vllm:request_queue_time_seconds", 0.99), legend="P99"),
            Query(expression=quantile("vllm:request_queue_time_seconds", 0.5), legend="P50"),
        ),
        nothing=NO_REQUESTS,
        alerts=("RequestsWait",),
    )


def _cache() -> Panel:
    return Panel(
        title="KV cache in use",
        description="Share of each engine's. Full, requests wait, and running ones are put back.",
        unit="percentunit",
        queries=(
            Query(
                expression=f"max by (pod, engine) (vllm:kv_cache_usage_perc{{{MODELS}}})",
                legend="{{pod}} {{engine}}",
            ),
        ),
        nothing=NO_REPLICA,
        limits=(Limit(value=0.8, color="yellow"), Limit(value=KV_CACHE_FULL, color="red")),
        alerts=("KvCacheFull",),
        most=1,
    )


def _prefixes() -> Panel:
    def rate(counter: str) -> str:
        return f"sum(rate(vllm:prefix_cache_{counter}_total{{{MODELS}}}{RATE}))"

    return Panel(
        title="Prefix cache hits",
        description="Share of the prompts' tokens that an engine had computed before, for the same beginning of a text.",
        unit="percentunit",
        queries=(Query(expression=f"{rate('hits')} / {rate('queries')}", legend="hits"),),
        nothing=NO_REQUESTS,
        most=1,
    )


def _tokens() -> Panel:
    def rate(counter: str) -> str:
        return f"sum(rate(vllm:{counter}_tokens_total{{{MODELS}}}{RATE}))"

    return Panel(
        title="Tokens a second",
        description="Read and written by all replicas together.",
        unit="cps",
        queries=(
            Query(expression=rate("prompt"), legend="of prompts"),
            Query(expression=rate("generation"), legend="generated"),
        ),
        nothing=NO_REPLICA,
    )


def _cost() -> Panel:
    return Panel(
        title="Cost of a million tokens",
        description="Of the last hour: the replicas' share of their nodes at the list price on demand, by tokens read and written.",
        unit="currencyUSD",
        queries=(Query(expression=f"{MILLION_COST}{{{MODELS}}}", legend="USD"),),
        nothing=IDLE,
    )


def _ended() -> Panel:
    return Panel(
        title="Requests that ended, by reason",
        description="`stop` and `length` are answers; `abort` is a client that left; `error` is the engine's.",
        unit="reqps",
        queries=(
            Query(
                expression=f"sum by (finished_reason) (rate(vllm:request_success_total{{{MODELS}}}{RATE}))",
                legend="{{finished_reason}}",
            ),
        ),
        nothing=NO_REPLICA,
        alerts=("EngineRestarts",),
    )


def _preempted() -> Panel:
    return Panel(
        title="Requests put back",
        description="For want of KV cache: each is computed again from its first token. Zero is as it should be.",
        unit="reqps",
        queries=(
            Query(
                expression=f"sum(rate(vllm:num_preemptions_total{{{MODELS}}}{RATE}))", legend="preemptions"
            ),
        ),
        nothing=NO_REPLICA,
        alerts=("RequestsPreempted",),
    )


def _budget() -> Panel:
    labels = f'{PLACE},model=~"$model"'
    return Panel(
        title="Requests that broke an objective",
        description="Share of the last hour's, by objective. What the model may: docs/observability.md.",
        unit="percentunit",
        queries=(Query(expression=f"{ERRORS}1h{{{labels}}}", legend="{{slo}}"),),
        nothing=NO_REQUESTS,
        alerts=("ErrorBudgetBurnsFast", "ErrorBudgetBurns"),
    )


def _replicas() -> Panel:
    def of(metric: str) -> str:
        return f"{metric}{{{MODELS}}}"

    return Panel(
        title="Replicas",
        description="That are ready, that its scaler asks for, and the bounds between which that stays.",
        unit="short",
        queries=(
            Query(expression=of(READY), legend=f"ready {BY_TRACK}"),
            Query(expression=of(WANTED), legend=f"asked for {BY_TRACK}"),
            Query(expression=of(LEAST), legend=f"least {BY_TRACK}"),
            Query(expression=of(MOST), legend=f"most {BY_TRACK}"),
        ),
        nothing="No Deployment in this time",
        alerts=("ReplicasBelowMinimum", "ScalerWithoutMetric", "TelemetryMissing"),
    )
