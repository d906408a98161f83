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
    """Spread over zones as a rule, over nodes as a wish.

    `nodeTaintsPolicy: Honor` leaves nodes that are down or cordoned out of the count, so that the loss of a
    zone does not hold back its replicas from the zones that are left. `minDomains` would do just that, so
    it is not set: Karpenter opens the second zone without it, because it counts all zones of its pool.
    Counting per revision (`pod-template-hash`) keeps the old pods of a rolling update from deciding where
    new ones go.
    """
    zone = {
        "maxSkew": 1,
        "topologyKey": ZONE_KEY,
        "whenUnsatisfiable": "DoNotSchedule",
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
