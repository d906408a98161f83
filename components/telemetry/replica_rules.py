"""Recording rules of one model's replicas: how many there are, the bounds of its scaler, what they cost an hour. Pure.

kube-state-metrics knows a Deployment by its name alone; here it gets the labels that the engines' series have. The bounds and
the price are the settings': they are there also where no replica is.
"""

from typing import Any, Final

from components.model_names import predictor_name
from components.telemetry.rules import MODEL, TRACK, Rule, group, record
from settings.facts import prices
from settings.models import Model
from settings.pools import GpuPool
from settings.versions import versions_of

READY: Final = "version:replicas_ready:max"
WANTED: Final = "version:replicas_wanted:max"
"""That a scaler, or the settings, ask for."""
LEAST: Final = "version:replicas_least:settings"
MOST: Final = "version:replicas_most:settings"
COST: Final = "version:cost_usd_per_hour:list_price"
"""Of the replicas that are asked for: their GPUs' share of their nodes, at the list price on demand."""
CURRENCY: Final = "USD"


def replica_rules(namespace: str, model: Model, hourly: float | None) -> dict[str, Any]:
    """Return the group of a model, and of its candidate where one stands beside it. hourly: USD for one replica, where known."""
    rules: list[Rule] = []
    for version in versions_of(model):
        deployment = f'namespace="{namespace}",deployment="{predictor_name(version.name)}"'
        wanted = f"max(kube_deployment_spec_replicas{{{deployment}}})"
        numbers = {
            READY: f"max(kube_deployment_status_replicas_ready{{{deployment}}})",
            WANTED: wanted,
            LEAST: f"vector({version.min_replicas})",
            MOST: f"vector({version.max_replicas})",
            **({} if hourly is None else {COST: f"{wanted} * {hourly:.6g}"}),
        }
        labels = {"namespace": namespace, MODEL: version.served_name, TRACK: version.track}
        rules += [record(name, expression, **labels) for name, expression in numbers.items()]
    return group(f"{model.name}-replicas", rules)


def replica_price(model: Model, pool: GpuPool, region: str) -> float | None:
    """Return what an hour of one replica costs in USD: its share of a node's GPUs. None where no list price is known.

    Capacity that is reserved or on Spot costs less, by an agreement or a market that no settings know of.
    """
    hourly = prices().hourly(pool.instance_type, region)
    if hourly is None or prices().currency != CURRENCY:
        return None
    return hourly * model.gpus / pool.gpu.count
