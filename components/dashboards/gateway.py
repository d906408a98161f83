"""The gateway: what came in, by model and by consumer, and what was refused, by whom and why. Pure.

By model Envoy counts, also what reached no engine. By consumer the engines count, whoever the gateway is: Envoy has no number
of one consumer.
"""

from dataclasses import dataclass
from typing import Final

from components.dashboards.panels import RATE, Board, Limit, Panel, Query, Row, Unit
from components.dashboards.selectors import MODELS, NO_REQUESTS, models, namespaces
from components.signals import GATEWAY_MONITOR
from settings.objectives import Objectives

_UPSTREAM: Final = 'envoy_cluster_name=~"httproute/$namespace/($model)/rule/.+"'
_PROXIES: Final = f'job="$namespace/{GATEWAY_MONITOR}"'
_NOT_OWN: Final = 'envoy_http_conn_manager_prefix!~"eg-.+|admin"'
"""A proxy's own listeners: Prometheus is who asks there."""
MOST_CONSUMERS: Final = 10
"""In a picture: those that ask for the most."""
NOBODY_CAME: Final = "Nobody came through the gateway in this time"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What of the gateway there is to see. envoy: it is Envoy. limits, tokens: it counts requests, it checks tokens."""

    envoy: bool
    limits: bool
    tokens: bool


def gateway(namespace: str, shown: Shown) -> Board:
    """Return the dashboard."""
    refused = [*([_limited()] if shown.limits else []), *([_denied()] if shown.tokens else [])]
    rows = [
        Row(panels=(_requests(), _answers())),
        Row(panels=(_failed(), _latency())),
        *([Row(panels=refused)] if refused else []),
        Row(panels=(_without_replica(), _under_way())),
    ]
    return Board(
        name="gateway",
        title="Gateway",
        description="What came in, by model and by consumer, and what was refused.",
        variables=(namespaces(namespace), models()),
        rows=(
            *(rows if shown.envoy else ()),
            Row(
                panels=(
                    _by_consumer(
                        "Requests a second, by consumer", "That reached an engine.", "requests", "reqps"
                    ),
                    _by_consumer(
                        "Tokens a second, by consumer", "Read and written for them.", "tokens", "cps"
                    ),
                )
            ),
            Row(panels=(_share_by_consumer("4"), _share_by_consumer("5"))),
        ),
    )


def _by_route(expression: str) -> str:
    """Put the model's name, which Envoy Gateway writes into an upstream's, into a label of its own."""
    return (
        f'label_replace({expression}, "model", "$1", "envoy_cluster_name", "httproute/[^/]+/([^/]+)/rule/.+")'
    )


def _rate(counter: str, more: str = "") -> str:
    return f"sum by (envoy_cluster_name) (rate({counter}{{{_UPSTREAM}{more}}}{RATE}))"


def _requests() -> Panel:
    return Panel(
        title="Requests a second, by model",
        description="That the gateway sent on to a model, and answers that it gave itself because no engine could be reached.",
        unit="reqps",
        queries=(Query(expression=_by_route(_rate("envoy_cluster_upstream_rq_xx")), legend="{{model}}"),),
        nothing=NOBODY_CAME,
    )


def _answers() -> Panel:
    classes = f"sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{{{_PROXIES},{_NOT_OWN}}}{RATE}))"
    return Panel(
        title="Answers by class",
        description="Of everything that came in: also what was refused before it got to a model (401, 403, 404, 429).",
        unit="reqps",
        queries=(Query(expression=classes, legend="{{envoy_response_code_class}}xx"),),
        nothing="Prometheus sees no proxy of the gateway",
    )


def _failed() -> Panel:
    every = _rate("envoy_cluster_upstream_rq_xx")
    failed = _rate("envoy_cluster_upstream_rq_xx", ',envoy_response_code_class="5"')
    return Panel(
        title="Answered with 5xx, by model",
        description="Share of a model's requests, whether an engine answered so or none could be reached.",
        unit="percentunit",
        queries=(
            # A counter of failures is there only after the first.
            Query(expression=_by_route(f"({failed} or 0 * {every}) / {every}"), legend="{{model}}"),
        ),
        nothing=NOBODY_CAME,
        limits=(Limit(value=round(1 - Objectives().availability / 100, 6), color="red"),),
        alerts=("ErrorBudgetBurnsFast", "ErrorBudgetBurns"),
    )


def _latency() -> Panel:
    buckets = (
        f"sum by (envoy_cluster_name, le) (rate(envoy_cluster_upstream_rq_time_bucket{{{_UPSTREAM}}}{RATE}))"
    )
    return Panel(
        title="P99 at the gateway, by model",
        description="From the request's end to the answer's, with the way to the engine and back; a stream is as long as its text.",
        unit="ms",
        queries=(Query(expression=_by_route(f"histogram_quantile(0.99, {buckets})"), legend="{{model}}"),),
        nothing=NOBODY_CAME,
    )


def _limited() -> Panel:
    return Panel(
        title="Refused for the limit (429), by model",
        description="Of consumers that asked more than they may, and requests that nobody could count because the rate limiter did not answer.",
        unit="reqps",
        queries=(
            Query(
                expression=_by_route(
                    f"{_rate('envoy_cluster_ratelimit_over_limit')} or 0 * {_rate('envoy_cluster_upstream_rq_xx')}"
                ),
                legend="{{model}} over the limit",
            ),
            Query(
                expression=_by_route(
                    f"{_rate('envoy_cluster_ratelimit_error')} or 0 * {_rate('envoy_cluster_upstream_rq_xx')}"
                ),
                legend="{{model}} not counted",
            ),
        ),
        nothing=NOBODY_CAME,
        alerts=("RequestsNotCounted",),
    )


def _denied() -> Panel:
    def rate(outcome: str) -> str:
        return f"sum(rate(envoy_http_jwt_authn_{outcome}{{{_PROXIES}}}{RATE}))"

    return Panel(
        title="Tokens",
        description="Requests whose token was taken, and those without one, or with one that is forged, ended or not for us.",
        unit="reqps",
        queries=(
            Query(expression=rate("allowed"), legend="taken"),
            Query(expression=rate("denied"), legend="refused (401)"),
        ),
        nothing="Prometheus sees no proxy of the gateway",
    )


def _without_replica() -> Panel:
    return Panel(
        title="Found no replica (503), by model",
        description="Zero is as it should be, but for the first requests to a model that was scaled to zero.",
        unit="reqps",
        queries=(
            Query(
                expression=_by_route(_rate("envoy_cluster_upstream_rq_pending_failure_eject")),
                legend="{{model}}",
            ),
        ),
        nothing=NOBODY_CAME,
        alerts=("ReplicasBelowMinimum",),
    )


def _under_way() -> Panel:
    return Panel(
        title="Requests under way, by model",
        description="That the gateway sent on, and whose answer has not ended.",
        unit="short",
        queries=(
            Query(
                expression=_by_route(
                    f"sum by (envoy_cluster_name) (envoy_cluster_upstream_rq_active{{{_UPSTREAM}}})"
                ),
                legend="{{model}}",
            ),
        ),
        nothing=NOBODY_CAME,
    )


def _consumers(what: str, more: str = "") -> str:
    return f"sum by (consumer) (rate(vllm_platform_consumer_{what}_total{{{MODELS}{more}}}{RATE}))"


def _by_consumer(title: str, description: str, what: str, unit: Unit) -> Panel:
    return Panel(
        title=title,
        description=f"{description} The {MOST_CONSUMERS} that ask for the most; `nobody` is who came without a token.",
        unit=unit,
        queries=(Query(expression=f"topk({MOST_CONSUMERS}, {_consumers(what)})", legend="{{consumer}}"),),
        nothing=NO_REQUESTS,
    )


def _share_by_consumer(digit: str) -> Panel:
    every = _consumers("requests")
    some = _consumers("requests", f',status_code=~"{digit}.."')
    return Panel(
        title=f"Answered with {digit}xx, by consumer",
        description="Share of what reached an engine; what the gateway refused is not in it. Those with the largest.",
        unit="percentunit",
        queries=(
            Query(
                expression=f"topk({MOST_CONSUMERS}, ({some} or 0 * {every}) / {every})", legend="{{consumer}}"
            ),
        ),
        nothing=NO_REQUESTS,
    )
