"""What of a stack file could be read, before the checks that look across sections."""

from dataclasses import dataclass

from settings.addons import Addons
from settings.charts import ChartSource
from settings.cluster import Cluster
from settings.database import Database
from settings.edge import Edge
from settings.models import Model
from settings.observability import Observability
from settings.pools import GpuPool, Pool
from settings.registry import Registry
from settings.stack import Environment, matching_pools
from settings.state import State
from settings.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The sections, pools and models that parsed.

    A broken one is None or left out, so that the rest is still checked.
    broken_state: the section is there and did not parse; else None means that it is not there.
    broken_pools: how many pools did not parse; a selector that finds nothing may mean one of them.
    """

    environment: Environment | None = None
    cluster: Cluster | None = None
    registry: Registry | None = None
    namespace: str | None = None
    storage: Storage | None = None
    edge: Edge | None = None
    state: State | None = None
    broken_state: bool = False
    addons: Addons | None = None
    charts: ChartSource | None = None
    observability: Observability | None = None
    database: Database | None = None
    pools: tuple[Pool, ...] = ()
    models: tuple[Model, ...] = ()
    broken_pools: int = 0

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
