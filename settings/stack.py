"""All settings of one stack, checked: what the program, the rehearsal and the command line read."""

from collections.abc import Mapping
from typing import Any, Literal

from settings.addon_choices import Asked
from settings.addons import Addons
from settings.base import Section
from settings.charts import ChartSource, PublishedCharts
from settings.cluster import Cluster, EksCluster
from settings.database import Database, NoDatabase
from settings.edge import CloudFrontEdge, Edge, NoEdge
from settings.facts import instances
from settings.models import Model
from settings.observability import Observability
from settings.pools import GpuPool, Pool
from settings.registry import Registry
from settings.scalars import Namespace
from settings.state import State
from settings.storage import Storage

Environment = Literal["dev", "staging", "prod"]


def matching_pools(model: Model, pools: tuple[Pool, ...]) -> tuple[GpuPool, ...]:
    """Return the GPU pools that a model's selector leaves."""
    wanted = model.selector
    return tuple(
        pool
        for pool in pools
        if isinstance(pool, GpuPool)
        and wanted.pool in {None, pool.name}
        and wanted.capacity in {None, pool.capacity.kind}
        and _has_gpu_type(pool, wanted.gpu_type)
    )


def _has_gpu_type(pool: GpuPool, wanted: str | None) -> bool:
    """Compare GPU kinds; a pool whose instance type has no facts, or no GPU, has no kind."""
    facts = instances().get(pool.instance_type)
    return wanted is None or (facts is not None and facts.gpu is not None and facts.gpu.type_label == wanted)


class Settings(Section):
    """One stack. Every loaded Settings has passed every check; make one by hand only in tests."""

    environment: Environment
    cluster: Cluster
    registry: Registry
    namespace: Namespace = "llm-prod"
    storage: Storage = Storage()
    edge: Edge = NoEdge(kind="off")
    state: State | None = None
    addons: Addons = Addons()
    charts: ChartSource = PublishedCharts(kind="published")
    observability: Observability = Observability()
    database: Database = NoDatabase(kind="off")
    pools: tuple[Pool, ...]
    models: tuple[Model, ...]

    @property
    def enabled_models(self) -> tuple[Model, ...]:
        """Models that are deployed."""
        return tuple(model for model in self.models if model.enabled)

    @property
    def asked(self) -> Asked:
        """What decides about add-ons, and what follows from it."""
        return Asked(
            addons=self.addons,
            cluster=self.cluster,
            pools=self.pools,
            models=self.enabled_models,
            edge=self.edge,
            database=self.database,
        )

    @property
    def gpu_pools(self) -> tuple[GpuPool, ...]:
        """Pools with GPUs."""
        return tuple(pool for pool in self.pools if isinstance(pool, GpuPool))

    @property
    def deletion_protection(self) -> bool:
        """Whether what holds data or serves is kept from being deleted by a mistake: a setting, else in prod."""
        own = self.cluster.deletion_protection if isinstance(self.cluster, EksCluster) else None
        return self.environment == "prod" if own is None else own

    @property
    def public(self) -> bool:
        """Whether the internet reaches the platform."""
        return isinstance(self.edge, CloudFrontEdge)

    def pool_of(self, model: Model) -> GpuPool:
        """Return the one pool that a model's selector leaves. Raises LookupError; no loaded Settings does."""
        found = matching_pools(model, self.pools)
        if len(found) != 1:
            message = f"model {model.name}: its selector leaves {len(found)} pools, not 1"
            raise LookupError(message)
        return found[0]

    def zones_of(self, pool: Pool) -> tuple[str, ...]:
        """Return the zones of a pool: its own, or all of the cluster's."""
        return pool.zones or self.cluster.zones

    def image_reference(self, model: Model) -> str:
        """Name the model's image in this stack's registry."""
        return model.image.reference(self.registry.host)

    def example_digests(self) -> list[str]:
        """Return the enabled models whose digest is the committed placeholder: not deployable as they are."""
        return [model.name for model in self.enabled_models if model.image.is_example]

    def to_config(self) -> Mapping[str, Any]:
        """Return the sections as a stack file holds them; `build` makes equal settings of them."""
        return self.model_dump(mode="json", exclude_none=True)
