"""A model as a stack asks for it: which weights, on which pool, how served."""

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import Field

from settings.base import Section
from settings.engine import Engine
from settings.facts import ModelFacts, Task, model_facts
from settings.pools import CapacityKind
from settings.registry import Image
from settings.scalars import (
    CpuQuantity,
    MemoryQuantity,
    ModelName,
    Positive,
    Revision,
    Seconds,
    Switch,
    mebibytes,
    millicores,
)
from settings.scaling import Autoscaling, RollingRollout, Rollout, Spread, ZoneSpread
from settings.weights import BakedWeights, CachedWeights, Mount, Weights

# Time between the end of the drain and the kill, for the engine to leave the GPU in good order.
TERMINATION_MARGIN_SECONDS: Final = 15

Tier = Literal["core", "best-effort"]


class Selector(Section):
    """Which pool a model runs on. What is given must hold; exactly one pool must be left."""

    pool: str | None = None
    gpu_type: str | None = None
    capacity: CapacityKind | None = None


class Amounts(Section):
    """CPU and main memory of one pod. Its GPUs come from `engine.tensor_parallel_size` instead."""

    cpu: CpuQuantity
    memory: MemoryQuantity

    @property
    def cpu_m(self) -> int:
        """Thousandths of a core."""
        return millicores(self.cpu)

    @property
    def memory_mib(self) -> int:
        """Memory in MiB."""
        return mebibytes(self.memory)


class Resources(Section):
    """What one pod is given at least, and at most."""

    requests: Amounts
    limits: Amounts


class Lifecycle(Section):
    """Times of a pod's start and end, in seconds.

    pre_stop_seconds: wait after the pod left the endpoints, so that no request is sent to a closing server.
    drain_seconds: time for running generations to end (`--shutdown-timeout`).
    startup_seconds: time until /health must answer, weights loaded.
    """

    pre_stop_seconds: Seconds = 15
    drain_seconds: Seconds = 120
    startup_seconds: Positive = 900

    @property
    def termination_grace_seconds(self) -> int:
        """Grace period of the pod: long enough for pre-stop and drain, and a margin."""
        return self.pre_stop_seconds + self.drain_seconds + TERMINATION_MARGIN_SECONDS


class Model(Section):
    """One InferenceService.

    model: a key of data/models.yaml. revision: the pinned commit of its repository.
    tier: core models are never on Spot. enabled: false keeps the settings checked and deploys nothing.
    ready_timeout_seconds: how long `pulumi up` waits for Ready; a cold GPU node and its image count too.
    """

    name: ModelName
    model: str
    revision: Revision
    tier: Tier
    task: Task
    image: Image
    selector: Selector
    resources: Resources
    engine: Engine
    weights: Weights
    mounts: tuple[Mount, ...] = ()
    autoscaling: Autoscaling
    rollout: Rollout = RollingRollout(kind="rolling")
    spread: Spread = ZoneSpread(kind="zones")
    lifecycle: Lifecycle = Lifecycle()
    ready_timeout_seconds: Annotated[int, Field(strict=True, ge=60)] = 1800
    enabled: Switch = True

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.engine.tensor_parallel_size

    @property
    def min_replicas(self) -> int:
        """Lowest number of replicas."""
        return self.autoscaling.min_replicas

    @property
    def max_replicas(self) -> int:
        """Highest number of replicas."""
        return self.autoscaling.max_replicas

    @property
    def facts(self) -> ModelFacts:
        """Facts of the weights. Raises KeyError for a model without facts, which no loaded Settings has."""
        return model_facts(self.model)

    @property
    def container_path(self) -> str:
        """Where the engine reads the weights: a path in the container, or the S3 address it streams from."""
        if isinstance(self.weights, BakedWeights):
            return self.weights.path
        if isinstance(self.weights, CachedWeights):
            return str(PurePosixPath(self.weights.mount_path) / self.weights.sub_path)
        return self.weights.uri
