"""What a stack may cost, and what of its costs no other setting tells: traffic, contracts, throughput."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section
from settings.scalars import ClaimName, Count, MemoryQuantity, ModelName, PoolName, Positive

Amount = Annotated[float, Field(strict=True, ge=0)]
More = Annotated[float, Field(strict=True, gt=0)]
Text = Annotated[str, Field(min_length=1)]
Column = Literal["min", "expected", "max"]


class Budget(Section):
    """monthly: in the currency of the price list. of: which of the three sums it is compared with."""

    monthly: More
    of: Column = "expected"


class PoolCost(Section):
    """Of the pool `name`. hourly: what a node costs by a contract, or as Spot; None is the list price on demand.

    nodes: expected on average over a month; None is what the models' expected replicas need.
    """

    name: PoolName
    hourly: More | None = None
    nodes: Count | None = None


class Throughput(Section):
    """Tokens a second of one replica that has enough to do, prompt and answer together. source: where that is from."""

    tokens_per_second: More
    kind: Literal["measured", "stated"]
    source: Text


class ModelCost(Section):
    """Of the model `name`. replicas: expected on average over a month; None is its fewest."""

    name: ModelName
    replicas: Count | None = None
    throughput: Throughput | None = None


class Usage(Section):
    """What is billed by use, in a month. Nothing is counted of what is not stated.

    requests: millions, of CloudFront and the firewall. answers_gib: from CloudFront to readers. nat_gib: over NAT, in and
    out. balancer_units: load balancer capacity units (LCU) on average. logs_gib: into CloudWatch. shared_gib, bucket_gib:
    that lie on EFS and S3.
    """

    requests: Amount = 0.0
    answers_gib: Amount = 0.0
    nat_gib: Amount = 0.0
    balancer_units: Amount = 0.0
    logs_gib: Amount = 0.0
    shared_gib: Amount = 0.0
    bucket_gib: Amount = 0.0


class OwnVolumes(Section):
    """Volumes (gp3) on the cluster that others than this program make, and this stack pays for."""

    name: ClaimName
    count: Positive = 1
    size: MemoryQuantity


class Costs(Section):
    """budget: a stack that costs more is refused. The rest makes the estimate of `vp cost` a better one."""

    budget: Budget | None = None
    pools: tuple[PoolCost, ...] = ()
    models: tuple[ModelCost, ...] = ()
    usage: Usage = Usage()
    volumes: tuple[OwnVolumes, ...] = ()

    def of_pool(self, name: str) -> PoolCost:
        """Return what is said of a pool; nothing, where nothing is."""
        return next((one for one in self.pools if one.name == name), PoolCost.model_construct(name=name))

    def of_model(self, name: str) -> ModelCost:
        """Return what is said of a model; nothing, where nothing is."""
        return next((one for one in self.models if one.name == name), ModelCost.model_construct(name=name))
