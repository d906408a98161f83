"""A model as a stack asks for it: which weights, on which pool, how served."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from settings.base import Section
from settings.content_filter import Filter
from settings.engine import Engine
from settings.facts import ModelFacts, Task, model_facts
from settings.objectives import Objectives
from settings.pools import CapacityKind
from settings.registry import Image
from settings.release import Release
from settings.rollout import CanaryRollout, RollingRollout, Rollout
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
from settings.scaling import Autoscaling, Spread, ZoneSpread
from settings.sources import BucketSource, HuggingFaceSource, WeightSource
from settings.speed import SCALER_MISTAKES
from settings.weights import BakedWeights, CachedWeights, JobFill, Mount, StreamedWeights, Weights

# Time between the end of the drain and the kill, for the engine to leave the GPU in good order.
TERMINATION_MARGIN_SECONDS: Final = 15

Tier = Literal["core", "best-effort"]

_OF_KNATIVE: Final = "in Standard mode, which serves here, KServe ignores it without a word"
MODEL_MISTAKES: Final[Mapping[str, tuple[str, str]]] = {
    "canaryTrafficPercent": (
        f"canaryTrafficPercent sends no traffic anywhere: {_OF_KNATIVE}",
        "write `rollout: {kind: canary, steps: [5, 25, 50, 100]}`",
    ),
    "canary": (
        "KServe v0.20 starts such a predictor, and no route sends traffic to it",
        "write `rollout: {kind: canary, steps: [5, 25, 50, 100]}`",
    ),
    "containerConcurrency": (
        f"containerConcurrency limits nothing: {_OF_KNATIVE}",
        "write `engine.max_num_seqs`, requests that run at once in one replica",
    ),
    **{
        key: (
            "the number of replicas belongs to exactly one scaler",
            f"write it in `autoscaling:`, as {inside}",
        )
        for key, inside in (
            ("minReplicas", "min"),
            ("maxReplicas", "max"),
            ("replicas", "`{kind: fixed, replicas: ...}`"),
        )
    },
    **{key: SCALER_MISTAKES[key] for key in ("scaleMetric", "scaleTarget")},
}
"""Keys of an InferenceService, or of other systems, that are often written in a model."""


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

    model: a key of data/models.yaml. revision: the pinned commit of its repository. source: where that lies.
    tier: core models are never on Spot. enabled: false keeps the settings checked and deploys nothing.
    content_filter: None is the stack's own.
    stopped: true keeps the model's objects and its place, and takes its pods: its GPUs are free.
    ready_timeout_seconds: how long `pulumi up` waits for Ready; a cold GPU node and its image count too.
    """

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = MODEL_MISTAKES

    name: ModelName
    model: str
    revision: Revision
    source: WeightSource = HuggingFaceSource(kind="huggingface")
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
    content_filter: Filter | None = None
    objectives: Objectives = Objectives()
    ready_timeout_seconds: Annotated[int, Field(strict=True, ge=60)] = 1800
    enabled: Switch = True
    stopped: Switch = False

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
    def release(self) -> Release:
        """What it runs, without where."""
        return Release(**{name: getattr(self, name) for name in Release.model_fields})

    @property
    def served_name(self) -> str:
        """What clients call the model."""
        return self.name

    @property
    def track(self) -> str:
        """Which of two versions side by side it is."""
        return "stable"

    @property
    def held_replicas(self) -> int:
        """Replicas that stand as long as a rollout lasts: what carries all of the traffic."""
        candidate = self.rollout.candidate if isinstance(self.rollout, CanaryRollout) else None
        own = None if candidate is None else candidate.replicas
        return own or max(1, self.min_replicas)

    @property
    def extra_replicas(self) -> int:
        """Replicas beyond the scaler's most while a new version comes in. Beside a canary stands all that the old one holds."""
        beside = self.held_replicas if isinstance(self.rollout, CanaryRollout) else 0
        return beside + self.rollout.max_surge

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
            return str(PurePosixPath(self.weights.mount_path) / self.place_on(self.weights))
        return self.weights.uri

    @property
    def published_as(self) -> str:
        """What the source calls the weights: the repository, or the directory of a bucket."""
        return self.source.uri if isinstance(self.source, BucketSource) else self.model

    def place_on(self, cache: CachedWeights) -> str:
        """Return where the weights lie below a claim's root. What a Job brings never changes there: the path has the revision."""
        if isinstance(cache.fill, JobFill):
            return str(PurePosixPath(cache.sub_path) / self.model / self.revision)
        return cache.sub_path

    @property
    def fill(self) -> JobFill | None:
        """The Job that brings its weights, if one does."""
        fill = self.weights.fill if isinstance(self.weights, CachedWeights) else None
        return fill if isinstance(fill, JobFill) else None

    @property
    def read_from_s3(self) -> str | None:
        """The address that its pods, or the Job that brings its weights, read on S3; None where they read none."""
        if isinstance(self.weights, StreamedWeights):
            return self.weights.uri
        return self.source.uri if self.fill and isinstance(self.source, BucketSource) else None
