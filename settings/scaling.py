"""How many replicas a model has, and where they go."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, cast, get_args

from pydantic import BeforeValidator, Field

from settings.base import Section, refusal
from settings.keda import KedaScaling
from settings.scalars import Count, Percent, Positive
from settings.speed import SCALER_MISTAKES, Speed


class FixedScaling(Section):
    """A number of replicas that nobody changes."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = SCALER_MISTAKES

    kind: Literal["fixed"]
    replicas: Positive

    @property
    def min_replicas(self) -> int:
        """Lowest number of replicas."""
        return self.replicas

    @property
    def max_replicas(self) -> int:
        """Highest number of replicas."""
        return self.replicas


class HpaScaling(Section):
    """HorizontalPodAutoscaler on GPU utilisation, percent on average over the replicas."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = SCALER_MISTAKES

    kind: Literal["hpa"]
    min: Count
    max: Positive
    gpu_utilization: Percent = 70
    speed: Speed = Speed()

    @property
    def min_replicas(self) -> int:
        """Lowest number of replicas."""
        return self.min

    @property
    def max_replicas(self) -> int:
        """Highest number of replicas."""
        return self.max


_SCALERS: Final = (FixedScaling, HpaScaling, KedaScaling)
_SCALER_KEYS: Final = {
    str(get_args(scaler.model_fields["kind"].annotation)[0]): set(scaler.model_fields) for scaler in _SCALERS
}


def _one_scaler(value: object) -> object:
    """Exactly one scaler may own a Deployment's replicas; two would undo each other's work for ever."""
    fix = "keep one of `kind: hpa`, `kind: keda`, `kind: fixed`, with the keys of that kind only"
    if isinstance(value, list):
        raise refusal(
            f"two scalers: {len(cast('list[Any]', value))} are listed, one can own a model's replicas",
            fix,
        )
    if isinstance(value, dict):
        given = cast("dict[Any, Any]", value)
        own = _SCALER_KEYS.get(str(given.get("kind")), set[str]())
        foreign = sorted(
            str(key)
            for key in given
            if own and key not in own and any(key in keys for keys in _SCALER_KEYS.values())
        )
        if foreign:
            owners = sorted(kind for kind, keys in _SCALER_KEYS.items() if set(foreign) & (keys - own))
            belongs = f"{', '.join(foreign)} belongs to kind {' or '.join(owners)}"
            raise refusal(f"two scalers: {belongs}, but kind is {given['kind']}", fix)
    return cast("object", value)


Autoscaling = Annotated[
    FixedScaling | HpaScaling | KedaScaling, Field(discriminator="kind"), BeforeValidator(_one_scaler)
]


def reads_gpu_load(scaling: FixedScaling | HpaScaling | KedaScaling) -> bool:
    """Tell whether a scaler has no number where nothing is known of the GPUs."""
    return isinstance(scaling, HpaScaling) or (
        isinstance(scaling, KedaScaling) and "gpu-utilization" in scaling.signals
    )


class ZoneSpread(Section):
    """Spread replicas over the pool's zones wherever there is room: the loss of one zone leaves the model up."""

    kind: Literal["zones"]


class PackedSpread(Section):
    """Let replicas share a node where they can: a decision against two zones, for nodes of many GPUs."""

    kind: Literal["pack"]


Spread = Annotated[ZoneSpread | PackedSpread, Field(discriminator="kind")]
