"""Looks at what a rehearsal brought about: every model's replicas, where they stand, and whether anything is on a node where it should not be."""

import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.cluster.api import Api, Object, conditions, has_condition
from rehearsal.cluster.nodes import ZONE_LABEL, pod_gpus
from rehearsal.errors import UserError
from settings.models import Model
from settings.pools import POOL_LABEL
from settings.stack import Settings

SERVING = "serving.kserve.io/v1beta1"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
# Seconds until every replica must be ready after the engine is done: the autoscaler's first sync and scheduling, all simulated.
REPLICAS_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class ModelOutcome:
    """One model as it stands in the cluster.

    zones: each zone with the nodes of its ready replicas, one entry a replica. problems: empty when all is as the settings ask.
    """

    name: str
    ready: bool
    url: str
    replicas: int
    wanted: int
    gpus: int
    pool: str
    zones: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    stopped: bool = False
    problems: tuple[str, ...] = ()


def observe(api: Api, settings: Settings) -> list[ModelOutcome]:
    """Every enabled model as it stands now, the candidate of a rollout too."""
    nodes = {n["metadata"]["name"]: n for n in api.list("v1", "Node")}
    return [_observe(api, settings, model, nodes) for model in settings.deployed_models]


def wait_for_models(api: Api, settings: Settings, seconds: float = REPLICAS_SECONDS) -> list[ModelOutcome]:
    """Wait until every enabled model has its minimum of ready replicas in the right places. Raises UserError naming what is missing."""
    deadline = time.monotonic() + seconds
    while True:
        outcomes = observe(api, settings)
        broken = [o for o in outcomes if o.problems]
        if not broken:
            return outcomes
        if time.monotonic() > deadline:
            lines = [f"  {o.name}: {problem}" for o in broken for problem in o.problems]
            raise UserError(
                "\n".join([f"after {seconds:.0f} s the models are not as the settings ask:", *lines])
            )
        time.sleep(0.2)


def _observe(api: Api, settings: Settings, model: Model, nodes: dict[str, Object]) -> ModelOutcome:
    pool = settings.pool_of(model)
    service = api.get(SERVING, "InferenceService", model.name, settings.namespace)
    pods = [
        p
        for p in api.list("v1", "Pod", settings.namespace, f"{SERVICE_LABEL}={model.name}")
        if has_condition(p, "Ready") and not p["metadata"].get("deletionTimestamp")
    ]
    places = [nodes[p["spec"]["nodeName"]] for p in pods if p["spec"].get("nodeName") in nodes]
    zones: dict[str, tuple[str, ...]] = {}
    for node in places:
        zone = str(node["metadata"]["labels"].get(ZONE_LABEL))
        zones[zone] = (*zones.get(zone, ()), node["metadata"]["name"])
    problems: list[str] = []
    wanted = 0 if model.stopped else model.min_replicas
    if model.stopped:
        if service is not None:
            problems.append("it is stopped, and its InferenceService is there")
        if pods:
            problems.append(f"it is stopped, and {len(pods)} replicas are there")
    elif service is None:
        problems.append("there is no InferenceService")
    elif not has_condition(service, "Ready"):
        problems.append(f"the InferenceService is not Ready: {_why(service)}")
    if len(pods) < wanted:
        problems.append(f"{len(pods)} of {wanted} replicas are ready{_pending(api, settings, model)}")
    if strays := sorted(
        {n["metadata"]["name"] for n in places if n["metadata"]["labels"].get(POOL_LABEL) != pool.name}
    ):
        problems.append(f"replicas stand outside pool {pool.name}, on {', '.join(strays)}")
    if model.spread.kind == "zones" and len(pods) > 1 and len(zones) < min(2, len(settings.zones_of(pool))):
        problems.append(f"all {len(pods)} replicas stand in one zone, {next(iter(zones), 'none')}")
    status: dict[str, Any] = (service or {}).get("status", {})
    # Not `status.url`, which names a host of the ingress that the platform does not use.
    url = status.get("address", {}).get("url", "")
    return ModelOutcome(
        name=model.name,
        ready=not problems,
        url=str(url),
        replicas=len(pods),
        wanted=wanted,
        gpus=sum(map(pod_gpus, pods)),
        pool=pool.name,
        zones=dict(sorted(zones.items())),
        stopped=model.stopped,
        problems=tuple(problems),
    )


def _why(service: Object) -> str:
    said = [
        f"{c['type']}: {c.get('message') or c.get('reason', '')}"
        for c in conditions(service)
        if c["status"] != "True"
    ]
    return "; ".join(said) or "no condition yet"


def _pending(api: Api, settings: Settings, model: Model) -> str:
    """The scheduler's words on a replica that finds no node."""
    for pod in api.list("v1", "Pod", settings.namespace, f"{SERVICE_LABEL}={model.name}"):
        for condition in conditions(pod):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f" ({condition.get('message', '')})"
    return ""


def print_outcomes(console: Console, outcomes: list[ModelOutcome]) -> None:
    """One row a model: replicas, GPUs, nodes by zone; then each model's URL, which no column is wide enough for."""
    table = Table(title="models", title_justify="left")
    for column in ("model", "ready", "replicas", "GPUs", "pool"):
        table.add_column(column, no_wrap=True)
    table.add_column("nodes by zone", overflow="fold")
    for o in outcomes:
        by_zone = "\n".join(f"{zone}: {', '.join(sorted(nodes))}" for zone, nodes in o.zones.items())
        ready = "stopped" if o.stopped else "yes" if o.ready else "no"
        table.add_row(o.name, ready, str(o.replicas), str(o.gpus), o.pool, by_zone)
    console.print(table)
    for o in outcomes:
        console.print(f"{o.name}: {o.url}", highlight=False, soft_wrap=True)
