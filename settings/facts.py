"""Dated facts about instances, regions and models, with their sources. The data lies in data/*.yaml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, TypeAdapter

from settings.base import Section

DATA: Final = Path(__file__).parent / "data"
ComputeCapability = tuple[int, int]
Quantization = Literal["none", "awq", "gptq", "fp8"]


class GpuFacts(Section):
    """The GPUs of one node.

    memory_mib: memory of one GPU as the driver and the EC2 API report it.
    cuda_mib: what CUDA calls the total capacity, a little less; the engine's share is taken from this.
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
    zones: region -> zones that offer it; a region that is not listed is not known, and not checked.
    """

    vcpu: int
    memory_mib: int
    allocatable_cpu_m: int
    allocatable_memory_mib: int
    max_pods: int
    gpu: GpuFacts | None = None
    needs_placement: bool = False
    zones: dict[str, tuple[str, ...]] = {}
    source: str


class ModelFacts(Section):
    """One set of weights.

    parameters: number of parameters, all experts. weight_bytes: size of the safetensors files.
    head_size: width of one attention head; max_positions: longest context without rope scaling.
    """

    parameters: int
    active_parameters: int | None = None
    layers: int
    attention_heads: int
    kv_heads: int
    head_size: int
    hidden_size: int
    vocabulary: int
    max_positions: int
    weight_bytes: int
    quantization: Quantization
    min_compute_capability: ComputeCapability
    dtype: Literal["float16", "bfloat16"]
    experts: int = 0
    tasks: Annotated[tuple[Literal["generate", "embed"], ...], Field(min_length=1)]
    licence: str
    source: str


@cache
def _read(name: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads the three files about 8 times faster
    return yaml.load((DATA / name).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe loaders


@cache
def instances() -> dict[str, InstanceFacts]:
    """Return all instance types by name."""
    return TypeAdapter(dict[str, InstanceFacts]).validate_python(_read("instances.yaml")["instances"])


@cache
def models() -> dict[str, ModelFacts]:
    """Return all models by repository name."""
    return TypeAdapter(dict[str, ModelFacts]).validate_python(_read("models.yaml")["models"])


@cache
def regions() -> dict[str, tuple[str, ...]]:
    """Return all regions with their zones."""
    return TypeAdapter(dict[str, tuple[str, ...]]).validate_python(_read("regions.yaml")["regions"])


def instance(name: str) -> InstanceFacts:
    """Return the facts of an instance type. Raises KeyError."""
    return instances()[name]


def model_facts(name: str) -> ModelFacts:
    """Return the facts of a model. Raises KeyError."""
    return models()[name]
