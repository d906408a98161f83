"""What an add-on is where the stack does not say: decided by the cluster's kind and by what else the stack asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from settings.addon_catalogue import ADDON_NAMES, CATALOGUE, Unit
from settings.addons import Addons, Choice
from settings.cluster import Cluster, EksCluster
from settings.database import Backups, Database, Postgres
from settings.edge import CloudFrontEdge, Edge
from settings.models import Model
from settings.pools import GpuPool, KarpenterProvisioner, Pool

# Managed on a new cluster where nothing is said. The rest is off there, unless the stack asks for what it does.
ALWAYS_ON_EKS: Final = frozenset(
    {
        "cert_manager",
        "gateway_api",
        "metrics_server",
        "istio",
        "kserve",
        "keda",
        "prometheus",
        "loki",
        "tempo",
        "otel_collector",
        "envoy_gateway",
        "external_secrets",
    }
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of a stack decides about add-ons. `models`: those that are deployed.

    kong: it is the stack's gateway. catalogue: another one in tests.
    """

    addons: Addons
    cluster: Cluster
    pools: Sequence[Pool]
    models: Sequence[Model]
    edge: Edge
    database: Database
    kong: bool = False
    catalogue: tuple[Unit, ...] = CATALOGUE

    def choice(self, addon: str) -> Choice:
        """Return the stack's word for an add-on, or what it means to say none."""
        own: Choice | None = getattr(self.addons, addon)
        return own or self._default(addon)

    def units(self, *choices: Choice) -> tuple[Unit, ...]:
        """Return the charts of the add-ons with one of these choices, less those that nothing asks for."""
        return tuple(
            unit for unit in self.catalogue if self.choice(unit.addon) in choices and self._wanted(unit)
        )

    def _wanted(self, unit: Unit) -> bool:
        """Backups are a chart of their own, and some databases have none."""
        if unit.name != "cloudnative-pg-backups":
            return True
        return isinstance(self.database, Postgres) and isinstance(self.database.backups, Backups)

    def _default(self, addon: str) -> Choice:
        if not isinstance(self.cluster, EksCluster):
            # Of a cluster that somebody else made nothing is known but this: without it no model can be served.
            return "existing" if addon == "kserve" else "off"
        if addon == "envoy_gateway" and self.kong:
            return "off"
        return "managed" if addon in ALWAYS_ON_EKS or self._asks_for(addon) else "off"

    def _asks_for(self, addon: str) -> bool:
        gpu = [pool for pool in self.pools if isinstance(pool, GpuPool)]
        asked = {
            "dcgm_exporter": bool(gpu),
            # Bottlerocket brings its own.
            "nvidia_device_plugin": any(pool.node_image == "al2023" for pool in gpu),
            "prometheus_adapter": any(model.autoscaling.kind == "hpa" for model in self.models),
            "cloudnative_pg": isinstance(self.database, Postgres),
            "load_balancer_controller": isinstance(self.edge, CloudFrontEdge),
            "kong": self.kong,
            "karpenter": any(isinstance(pool.provisioner, KarpenterProvisioner) for pool in self.pools),
        }
        return asked.get(addon, False)


def choices_of(asked: Asked) -> dict[str, Choice]:
    """Return the choice of every add-on."""
    return {addon: asked.choice(addon) for addon in ADDON_NAMES}
