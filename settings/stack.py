"""All settings of one stack, checked: what the program, the rehearsal and the command line read."""

from collections.abc import Mapping
from typing import Any, Literal

from settings.addon_choices import Asked
from settings.addons import Addons
from settings.audit import Audit, NoAudit
from settings.base import Section
from settings.builds import REGISTRY_PASSWORD, Builds, DockerLogin, EcrLogin, Login, PasswordLogin
from settings.charts import ChartSource, PublishedCharts
from settings.cluster import Cluster, EksCluster, RehearsalCluster
from settings.content_filter import Filter, NoFilter, RuleFilter, is_guard
from settings.costs import Costs
from settings.database import Database, NoDatabase
from settings.edge import CloudFrontEdge, Edge, NoEdge
from settings.facts import instances
from settings.fetch import FETCH_IMAGE, Fetch
from settings.gateway import Gateway
from settings.gateways import AnyGateway
from settings.kong import KongGateway
from settings.limits import RequestLimits
from settings.models import Model
from settings.needed_secrets import NeededSecret, needed_secrets
from settings.observability import Observability, SampledTracing
from settings.policies import Policies
from settings.pools import GpuPool, Pool
from settings.promotion import Promotion
from settings.quotas import request_limits
from settings.registry import EcrRegistry, Image, Registry
from settings.scalars import Namespace
from settings.secrets import AwsSecrets, ManualSecrets, PulumiSecrets, Secrets, VaultSecrets
from settings.security import Security
from settings.state import State
from settings.storage import Storage
from settings.versions import versions_of

Environment = Literal["dev", "staging", "prod"]


def is_own_registry(registry: Registry, cluster: Cluster) -> bool:
    """Tell whether a registry is Amazon ECR in the account and region of a cluster that the program creates."""
    return (
        isinstance(registry, EcrRegistry)
        and isinstance(cluster, EksCluster)
        and (registry.account, registry.region) == (cluster.account, cluster.region)
    )


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
    builds: Builds = Builds()
    namespace: Namespace = "llm-prod"
    storage: Storage = Storage()
    edge: Edge = NoEdge(kind="off")
    gateway: AnyGateway = Gateway()
    state: State | None = None
    secrets: Secrets = ManualSecrets(kind="manual")
    audit: Audit = NoAudit(kind="off")
    addons: Addons = Addons()
    charts: ChartSource = PublishedCharts(kind="published")
    observability: Observability = Observability()
    database: Database = NoDatabase(kind="off")
    content_filter: Filter = NoFilter(kind="off")
    security: Security = Security()
    cost: Costs = Costs()
    policies: Policies = Policies()
    promotion: Promotion | None = None
    pools: tuple[Pool, ...]
    models: tuple[Model, ...]

    @property
    def enabled_models(self) -> tuple[Model, ...]:
        """Models that are deployed."""
        return tuple(model for model in self.models if model.enabled)

    @property
    def deployed_models(self) -> tuple[Model, ...]:
        """What is deployed of them: the candidate of a rollout is a model of its own beside the stable version."""
        return tuple(version for model in self.enabled_models for version in versions_of(model))

    @property
    def routes(self) -> bool:
        """Whether the platform has a gateway whose routes to the models the program makes."""
        return (
            self.asked.choice("kong" if isinstance(self.gateway, KongGateway) else "envoy_gateway") != "off"
        )

    @property
    def envoy(self) -> Gateway:
        """The settings of Envoy Gateway; where the gateway is another one, nothing reads them."""
        return self.gateway if isinstance(self.gateway, Gateway) else Gateway()

    @property
    def request_limits(self) -> RequestLimits | None:
        """How many requests the gateway lets through; None is as many as come."""
        return request_limits(self.envoy, self.asked.choice("envoy_gateway"))

    @property
    def meshed(self) -> bool:
        """Whether the models are in the mesh, whoever installed it."""
        return self.security.meshed(istio=self.asked.choice("istio") != "off")

    @property
    def tracing(self) -> SampledTracing | None:
        """Of which requests traces are kept. None: nobody writes any."""
        found = self.observability.tracing
        return found if isinstance(found, SampledTracing) else None

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
            kong=isinstance(self.gateway, KongGateway),
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

    @property
    def owns_registry(self) -> bool:
        """Whether the registry is Amazon ECR in the account and region of a cluster that the program creates."""
        return is_own_registry(self.registry, self.cluster)

    @property
    def login(self) -> Login:
        """How the program gets at the registry: a setting, else what fits the registry."""
        fitting = EcrLogin(kind="ecr") if self.owns_registry else DockerLogin(kind="docker")
        return self.builds.login or fitting

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Names of the stack's secrets that the program reads. A rehearsal builds nothing, so it needs none."""
        if isinstance(self.cluster, RehearsalCluster):
            return ()
        password = (REGISTRY_PASSWORD,) if isinstance(self.login, PasswordLogin) else ()
        needed = self.needed_secrets if isinstance(self.secrets, PulumiSecrets) else ()
        names = dict.fromkeys(name for one in needed for name in one.config_names().values())
        return (*self.builds.secrets, *password, *names)

    @property
    def needed_secrets(self) -> tuple[NeededSecret, ...]:
        """Secrets of the cluster that what runs reads, but for those that a chart makes where there is no store."""
        found = needed_secrets(
            namespace=self.namespace,
            storage=self.storage,
            observability=self.observability,
            database=self.database,
            gateway=self.gateway,
            asked=self.asked,
        )
        from_store = isinstance(self.secrets, VaultSecrets | AwsSecrets)
        return tuple(one for one in found if from_store or not one.from_store)

    def filter_of(self, model: Model) -> Filter:
        """Return what is refused of a model's requests: its own, else the stack's. A guard is asked about everything."""
        if model.content_filter is not None:
            return model.content_filter
        guards = isinstance(self.content_filter, RuleFilter) and is_guard(
            self.content_filter.guard, model.served_name
        )
        return NoFilter(kind="off") if guards else self.content_filter

    def example_digests(self) -> list[str]:
        """Return what has the committed placeholder as its digest, and so is not deployable: deployed models, what fills claims."""
        return [name for name, image in self.images.items() if image.is_example]

    @property
    def images(self) -> dict[str, Image]:
        """Every image that is deployed, by the name of its model, a candidate's too; by FETCH_IMAGE what fills claims."""
        images = {model.name: model.image for model in self.deployed_models}
        return {**images, FETCH_IMAGE: self.fetch.image} if self.fetch else images

    @property
    def fetch(self) -> Fetch | None:
        """How Jobs bring weights, where a model that is deployed waits for one."""
        return self.storage.fetch if any(model.fill for model in self.deployed_models) else None

    def to_config(self) -> Mapping[str, Any]:
        """Return the sections as a stack file holds them; `build` makes equal settings of them.

        Without what was left out: a default that is written down can be refused, as a target of no signal is.
        """
        return self.model_dump(mode="json", exclude_none=True, exclude_unset=True)
