"""A rollout: the candidate beside the stable version, by what the judge looks at. Pure."""

from components.dashboards.model_detail import quantile
from components.dashboards.panels import RATE, Board, Limit, Panel, Query, Row
from components.dashboards.selectors import BY_TRACK, MODELS, NO_REPLICA, NO_REQUESTS, models, namespaces
from components.telemetry.recorded import FAILURES, REQUESTS
from components.telemetry.replica_rules import READY, WANTED
from components.telemetry.rules import TRACK, VERSION
from settings.rollout import Judge


def rollout(namespace: str, *, first: str) -> Board:
    """Return the dashboard. first: the model that it shows at first."""
    return Board(
        name="rollout",
        title="Rollout",
        description="The candidate of a rollout beside the stable version, by what the judge looks at. Without one there is only `stable`.",
        variables=(namespaces(namespace), models(several=False, first=first)),
        rows=(
            Row(panels=(_share(), _requests())),
            Row(panels=(_failures(), _refused())),
            Row(
                panels=(
                    _times("Time to first token, P95", "vllm:time_to_first_token_seconds"),
                    _times("Time between tokens, P95", "vllm:inter_token_latency_seconds"),
                )
            ),
            Row(panels=(_replicas(), _running())),
        ),
    )


def _share() -> Panel:
    every = f"{REQUESTS}{{{MODELS}}}"
    return Panel(
        title="Share of the requests",
        description="That each version answered. Of few requests it is not yet the weight of the route.",
        unit="percentunit",
        queries=(
            Query(
                expression=f"sum by ({TRACK}, {VERSION}) ({every}) / ignoring ({TRACK}, {VERSION}) group_left () sum({every})",
                legend=f"{BY_TRACK} {{{{{VERSION}}}}}",
            ),
        ),
        nothing=NO_REQUESTS,
        most=1,
    )


def _requests() -> Panel:
    return Panel(
        title="Requests a second",
        description="Answered by each version, whatever the answer was.",
        unit="reqps",
        queries=(Query(expression=f"sum by ({TRACK}) ({REQUESTS}{{{MODELS}}})", legend=BY_TRACK),),
        nothing=NO_REQUESTS,
    )


def _failures() -> Panel:
    every = f"sum by ({TRACK}) ({REQUESTS}{{{MODELS}}})"
    return Panel(
        title="Answered with 5xx",
        description="Share of each version's requests. The judge takes a candidate back that is above the line, and not by chance.",
        unit="percentunit",
        queries=(Query(expression=f"sum by ({TRACK}) ({FAILURES}{{{MODELS}}}) / {every}", legend=BY_TRACK),),
        nothing=NO_REQUESTS,
        limits=(Limit(value=Judge().max_error_ratio, color="red"),),
        alerts=("ErrorBudgetBurnsFast",),
    )


def _refused() -> Panel:
    def rate(status: str) -> str:
        return f"sum by ({TRACK}) (rate(vllm_platform_requests_total{{{MODELS}{status}}}{RATE}))"

    # As the judge counts: no limits, and no client that left.
    refused = rate(',status_code=~"4..",status_code!~"429|499"')
    return Panel(
        title="Answered with 4xx",
        description="Share of each version's requests. A candidate that refuses what the stable version takes knows another name or template.",
        unit="percentunit",
        queries=(Query(expression=f"({refused} or 0 * {rate('')}) / {rate('')}", legend=BY_TRACK),),
        nothing=NO_REQUESTS,
    )


def _times(title: str, histogram: str) -> Panel:
    return Panel(
        title=title,
        description="What 95 of 100 stay below, by version: what the judge compares.",
        unit="s",
        queries=(Query(expression=quantile(histogram, 0.95, by=TRACK), legend=BY_TRACK),),
        nothing=NO_REQUESTS,
    )


def _replicas() -> Panel:
    return Panel(
        title="Replicas",
        description="That are ready, and that are asked for, of each version.",
        unit="short",
        queries=(
            Query(expression=f"{READY}{{{MODELS}}}", legend=f"{BY_TRACK} ready"),
            Query(expression=f"{WANTED}{{{MODELS}}}", legend=f"{BY_TRACK} asked for"),
        ),
        nothing="No Deployment in this time",
        alerts=("ReplicasBelowMinimum",),
    )


def _running() -> Panel:
    running = f"sum by ({TRACK}) (max by ({TRACK}, pod, engine) (vllm:num_requests_running{{{MODELS}}}))"
    return Panel(
        title="Requests in the engines",
        description="That each version works on.",
        unit="short",
        queries=(Query(expression=running, legend=BY_TRACK),),
        nothing=NO_REPLICA,
    )
