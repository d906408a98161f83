"""What of a stack file could be read, before the checks that look across sections."""

from dataclasses import dataclass

from settings.addon_choices import Asked
from settings.addons import Addons
from settings.audit import Audit
from settings.builds import Builds
from settings.charts import ChartSource
from settings.cluster import Cluster
from settings.content_filter import Filter
from settings.costs import Costs
from settings.database import Database
from settings.edge import Edge
from settings.gateway import Gateway
from settings.gateways import AnyGateway
from settings.kong import KongGateway
from settings.models import Model
from settings.observability import Observability
from settings.policies import Policies
from settings.pools import GpuPool, Pool
from settings.promotion import Promotion
from settings.registry import Registry
from settings.secrets import Secrets
from settings.security import Security
from settings.stack import Environment, matching_pools
from settings.state import State
from settings.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The sections, pools and models that parsed.

    A broken one is None or left out, so that the rest is still checked.
    broken_state: the section is there and did not parse; else None means that it is not there.
    kept: the section `secrets`. secrets: names of the stack's own secrets.
    broken_pools: how many pools did not parse; a selector that finds nothing may mean one of them.
    broken_models: the same of models.
    """

    environment: Environment | None = None
    cluster: Cluster | None = None
    registry: Registry | None = None
    builds: Builds | None = None
    namespace: str | None = None
    storage: Storage | None = None
    edge: Edge | None = None
    gateway: AnyGateway | None = None
    state: State | None = None
    broken_state: bool = False
    addons: Addons | None = None
    charts: ChartSource | None = None
    observability: Observability | None = None
    database: Database | None = None
    content_filter: Filter | None = None
    kept: Secrets | None = None
    audit: Audit | None = None
    security: Security | None = None
    cost: Costs | None = None
    policies: Policies | None = None
    promotion: Promotion | None = None
    pools: tuple[Pool, ...] = ()
    models: tuple[Model, ...] = ()
    broken_pools: int = 0
    broken_models: int = 0
    secrets: frozenset[str] = frozenset()

    @property
    def envoy(self) -> Gateway | None:
        """The gateway where it is Envoy Gateway."""
        return self.gateway if isinstance(self.gateway, Gateway) else None

    @property
    def asked(self) -> Asked | None:
        """What decides about add-ons, or None where a section that does so is broken."""
        if self.addons is None or self.cluster is None or self.edge is None or self.database is None:
            return None
        return Asked(
            addons=self.addons,
            cluster=self.cluster,
            pools=self.pools,
            models=tuple(model for model in self.models if model.enabled),
            edge=self.edge,
            database=self.database,
            kong=isinstance(self.gateway, KongGateway),
        )

    def pool_of(self, model: Model) -> GpuPool | None:
        """Return the one pool that a model's selector leaves, or None where that is not decided."""
        found = matching_pools(model, self.pools)
        return found[0] if len(found) == 1 else None

    def zones_of(self, pool: Pool) -> tuple[str, ...] | None:
        """Return the zones of a pool, or None where neither it nor a readable cluster names any."""
        if pool.zones is not None:
            return pool.zones
        return None if self.cluster is None else self.cluster.zones

    def models_on(self, pool: Pool) -> tuple[Model, ...]:
        """Return the enabled models that run on a pool."""
        return tuple(model for model in self.models if model.enabled and self.pool_of(model) == pool)
