"""Where a model's pods go: the pool's own selector and tolerations, and the spread over zones and nodes."""

from typing import Any, Final

from components.model_names import pod_selector
from settings.models import Model
from settings.pools import GpuPool
from settings.scaling import ZoneSpread

ZONE_KEY: Final = "topology.kubernetes.io/zone"
HOSTNAME_KEY: Final = "kubernetes.io/hostname"
PACK_WEIGHT: Final = 100


def placement(model: Model, pool: GpuPool, zones: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields that decide a pod's node. Labels and taints are the pool's: none is spelt here."""
    rules = _spread(model, zones) if isinstance(model.spread, ZoneSpread) else _pack(model)
    return {"nodeSelector": pool.node_selector, "tolerations": pool.tolerations, **rules}


def _spread(model: Model, zones: tuple[str, ...]) -> dict[str, Any]:
    """Spread over zones, and then over nodes: a wish, which the scheduler follows where there is room for it.

    Not a rule. An update of a full pool has room only where it takes an old replica away, and which one that is
    the controller chooses: a rule stood still with half of the replicas replaced, each of the new ones kept from the only
    node that was free. A replica in the wrong zone serves.
    Karpenter takes it for a rule when it opens nodes, so the second zone is opened.

    `nodeTaintsPolicy: Honor` leaves nodes that are down or cordoned out of the count. Counting per revision
    (`pod-template-hash`) keeps the old pods of a rolling update from deciding where new ones go.
    """
    zone = {
        "maxSkew": 1,
        "topologyKey": ZONE_KEY,
        "whenUnsatisfiable": "ScheduleAnyway",
        "nodeAffinityPolicy": "Honor",
        "nodeTaintsPolicy": "Honor",
        "matchLabelKeys": ["pod-template-hash"],
        "labelSelector": {"matchLabels": pod_selector(model.name)},
    }
    node = {
        "maxSkew": 1,
        "topologyKey": HOSTNAME_KEY,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pod_selector(model.name)},
    }
    return {"topologySpreadConstraints": [zone, node] if len(zones) > 1 else [node]}


def _pack(model: Model) -> dict[str, Any]:
    """Wish replicas onto one node: two of four GPUs each fill a node of eight, and its price is paid once."""
    term = {"topologyKey": HOSTNAME_KEY, "labelSelector": {"matchLabels": pod_selector(model.name)}}
    wish = {"weight": PACK_WEIGHT, "podAffinityTerm": term}
    return {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}}
