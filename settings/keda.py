"""Scaling by KEDA: which signals, how much of each one replica takes, times of day, and what holds when nothing is known."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from settings.base import Section, refusal
from settings.cron import CronTime, TimeZone
from settings.scalars import Count, Percent, Positive, TriggerName
from settings.speed import SCALER_MISTAKES, Speed

Signal = Literal["running", "waiting", "kv-cache", "gpu-utilization", "gateway-demand"]
DEMAND_AT_ZERO: Final = "gateway-demand"
"""The one signal that is there while no engine is."""


def _a_window_is_a_floor(value: object) -> object:
    if value == 0 and value is not False:
        raise refusal(
            "a window only raises the number of replicas: KEDA takes the most of all triggers, and refuses one of 0",
            "write min: 0 with the signal gateway-demand, and a window for the hours in which replicas must be there",
        )
    return value


class Targets(Section):
    """What one replica takes, by signal. Beyond that, on average over the replicas, another one comes.

    running, kv_cache, gpu_utilization: percent, of engine.max_num_seqs, of the KV cache, of the GPU's time.
    waiting: requests. gateway_demand: requests that came in a minute, and those under way.
    """

    running: Percent = 80
    waiting: Positive = 4
    kv_cache: Percent = 80
    gpu_utilization: Percent = 80
    gateway_demand: Positive = 60


class Window(Section):
    """Hours in which there are at least `replicas`. start, end: cron expressions in `timezone`."""

    name: TriggerName
    timezone: TimeZone
    start: CronTime
    end: CronTime
    replicas: Annotated[Positive, BeforeValidator(_a_window_is_a_floor)]


class Fallback(Section):
    """What holds while a signal can not be read: the replicas that are there, and at least these.

    failures: in a row before it holds; until then nothing is taken away. replicas: None is the minimum, or 1.
    """

    failures: Positive = 4
    replicas: Positive | None = None


class ToZero(Section):
    """Times of a model that may have no replica: how often is looked for demand, and how long without it until it goes."""

    polling_seconds: Annotated[int, Field(strict=True, ge=5, le=300)] = 15
    cooldown_seconds: Annotated[int, Field(strict=True, ge=60)] = 900


class KedaScaling(Section):
    """KEDA on what the engine says of itself, or on the gateway's demand, the one signal at zero replicas."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = SCALER_MISTAKES

    kind: Literal["keda"]
    min: Count
    max: Positive
    signals: Annotated[tuple[Signal, ...], Field(min_length=1)] = ("running", "waiting", "kv-cache")
    targets: Targets = Targets()
    windows: tuple[Window, ...] = ()
    fallback: Fallback = Fallback()
    to_zero: ToZero = ToZero()
    speed: Speed = Speed()

    @property
    def min_replicas(self) -> int:
        """Lowest number of replicas."""
        return self.min

    @property
    def max_replicas(self) -> int:
        """Highest number of replicas."""
        return self.max

    @property
    def unread_targets(self) -> tuple[str, ...]:
        """Targets that are given for a signal that is not used."""
        used = {signal.replace("-", "_") for signal in self.signals}
        return tuple(sorted(self.targets.model_fields_set - used))
