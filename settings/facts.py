"""Dated facts about instances, regions and models, with their sources. The data lies in data/*.yaml."""

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, cast

import yaml
from pydantic import Field, TypeAdapter

from settings.base import Section

DATA: Final = Path(__file__).parent / "data"
ComputeCapability = tuple[int, int]
Task = Literal["generate", "embed"]
PRICES_GOOD_FOR_DAYS: Final = 90


class GpuFacts(Section):
    """The GPUs of one node.

    memory_mib: memory of one GPU as the driver and the EC2 API report it.
    cuda_mib: what CUDA calls its total capacity, a little less; the engine's share is taken from this.
    """

    name: str
    type_label: str
    count: int
    memory_mib: int
    cuda_mib: int
    compute_capability: ComputeCapability


class InstanceFacts(Section):
    """One EC2 instance type.

    allocatable_cpu_m, allocatable_memory_mib: what pods can have, thousandths of a core and MiB.
    needs_placement: too scarce and too costly to be put somewhere by default.
    """

    vcpu: int
    memory_mib: int
    allocatable_cpu_m: int
    allocatable_memory_mib: int
    max_pods: int
    gpu: GpuFacts | None = None
    needs_placement: bool = False


class ModelFacts(Section):
    """One set of weights.

    parameters: number of parameters, all experts. weight_bytes: size of the weight files.
    source: whose figure weight_bytes is; None where it is computed from the shapes.
    head_size: width of one attention head. max_positions: longest context, in tokens.
    intermediate_size, expert_size: width of the feed-forward part, or of one expert's; the other is 0.
    tied_embeddings: the files hold no output layer of its own. group_size: quantized weights that share a scale.
    dtype: of what is not quantized.
    """

    parameters: int
    active_parameters: int | None = None
    layers: int
    attention_heads: int
    kv_heads: int
    head_size: int
    hidden_size: int
    intermediate_size: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert_size: int = 0
    vocabulary: int
    tied_embeddings: bool = False
    max_positions: int
    weight_bytes: int
    source: str | None = None
    quantization: Literal["none", "awq", "gptq", "fp8"]
    group_size: int = 0
    min_compute_capability: ComputeCapability
    dtype: Literal["float16", "bfloat16"]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    licence: str


class EksFacts(Section):
    """What EKS is installed with for one Kubernetes version.

    al2023: AMI release, e.g. 1.36.3-20260911: the kubelet's version and a date.
    addons: version by the add-on's name on EKS.
    """

    standard_support_until: dt.date
    al2023: str
    bottlerocket: str
    addons: dict[str, str]


class PriceList(Section):
    """Prices in `currency`, of a date when they were true. FILE: where they stand, in settings/data."""

    FILE: ClassVar[str]

    date: dt.date
    source: str
    currency: str

    def warning(self, today: dt.date) -> str | None:
        """Say that the prices are old, or nothing. They change a few times a year."""
        if (today - self.date).days <= PRICES_GOOD_FOR_DAYS:
            return None
        return (
            f"prices are of {self.date}, more than {PRICES_GOOD_FOR_DAYS} days old: "
            f"compare with the list, and renew settings/data/{self.FILE} (`vp prices refresh`)"
        )


class Prices(PriceList):
    """List prices of instances. on_demand: price of an hour by region and instance type."""

    FILE: ClassVar[str] = "prices.yaml"

    on_demand: dict[str, dict[str, Annotated[float, Field(gt=0)]]]

    def hourly(self, instance_type: str, region: str) -> float | None:
        """Return what an hour on demand costs, or None where no list price is known."""
        return self.on_demand.get(region, {}).get(instance_type)


@cache
def read(name: str) -> dict[str, Any]:
    """Read one data file, with its date and source."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is about 8 times faster
    return cast("dict[str, Any]", yaml.load((DATA / name).read_text(encoding="utf-8"), Loader=loader))  # noqa: S506 - both are safe


@cache
def instances() -> dict[str, InstanceFacts]:
    """Return all instance types by name."""
    data = read("instances.yaml")
    joined: dict[str, dict[str, Any]] = {}
    for name, entry in cast("dict[str, dict[str, Any]]", data["instances"]).items():
        fields = {key: value for key, value in entry.items() if key not in {"gpu", "gpu_count", "source"}}
        if "gpu" in entry:
            fields["gpu"] = {**data["gpus"][entry["gpu"]], "count": entry["gpu_count"]}
        joined[name] = fields
    return TypeAdapter(dict[str, InstanceFacts]).validate_python(joined)


@cache
def models() -> dict[str, ModelFacts]:
    """Return all models by repository name."""
    return TypeAdapter(dict[str, ModelFacts]).validate_python(read("models.yaml")["models"])


@cache
def eks_versions() -> dict[str, EksFacts]:
    """Return the facts of EKS by Kubernetes version."""
    return TypeAdapter(dict[str, EksFacts]).validate_python(read("eks.yaml")["versions"])


@cache
def prices() -> Prices:
    """Return the list prices."""
    return Prices.model_validate(read(Prices.FILE))


@cache
def regions() -> dict[str, tuple[str, ...]]:
    """Return all regions with their zones."""
    return TypeAdapter(dict[str, tuple[str, ...]]).validate_python(read("regions.yaml")["regions"])


def region_of(zone: str) -> str | None:
    """Return the region that a zone belongs to, or None for an unknown zone."""
    return next((region for region, zones in regions().items() if zone in zones), None)


def offered_zones(instance_type: str, region: str) -> int | None:
    """Return in how many zones of a region an instance type is offered, or None where that is not known."""
    data = read("offerings.yaml")
    if region not in data["covered"] or instance_type not in data["offered"]:
        return None
    return len(data["offered"][instance_type].get(region, ()))


def offering_regions(instance_type: str) -> tuple[str, ...]:
    """Return the regions that are known to offer an instance type."""
    return tuple(read("offerings.yaml")["offered"].get(instance_type, ()))


def instance(name: str) -> InstanceFacts:
    """Return the facts of an instance type. Raises KeyError."""
    return instances()[name]


def model_facts(name: str) -> ModelFacts:
    """Return the facts of a model. Raises KeyError."""
    return models()[name]
