"""How many replicas a model has, how a new version replaces the old one, and where replicas go."""

from typing import Annotated, Any, Final, Literal, cast, get_args

from pydantic import BeforeValidator, Field

from settings.base import Section, refusal
from settings.scalars import Count, Percent, Positive

Signal = Literal["running", "waiting", "kv-cache", "gateway-demand"]


class FixedScaling(Section):
    """A number of replicas that nobody changes."""

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

    kind: Literal["hpa"]
    min: Count
    max: Positive
    gpu_utilization: Percent = 70

    @property
    def min_replicas(self) -> int:
        """Lowest number of replicas."""
        return self.min

    @property
    def max_replicas(self) -> int:
        """Highest number of replicas."""
        return self.max


class KedaScaling(Section):
    """KEDA on what the engine says of itself, or on the gateway's demand, the one signal at zero replicas."""

    kind: Literal["keda"]
    min: Count
    max: Positive
    signals: Annotated[tuple[Signal, ...], Field(min_length=1)]

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


class RollingRollout(Section):
    """Replace replicas a few at a time. `max_surge` extra replicas need GPUs of their own while it lasts."""

    kind: Literal["rolling"]
    max_surge: Count = 1
    max_unavailable: Count = 0

    @property
    def extra_replicas(self) -> int:
        """Replicas beyond the asked number while a new version comes in."""
        return self.max_surge


class CanaryRollout(Section):
    """Send a rising share of the traffic, in percent, to the new version beside the old one."""

    kind: Literal["canary"]
    steps: Annotated[tuple[Annotated[int, Field(strict=True)], ...], Field(min_length=1)]

    @property
    def extra_replicas(self) -> int:
        """Replicas beyond the asked number while a new version comes in: at least one of the new version."""
        return 1


Rollout = Annotated[RollingRollout | CanaryRollout, Field(discriminator="kind")]


class ZoneSpread(Section):
    """Spread replicas over the pool's zones: the loss of one zone leaves the model up."""

    kind: Literal["zones"]


class PackedSpread(Section):
    """Let replicas share a node where they can: a decision against two zones, for nodes of many GPUs."""

    kind: Literal["pack"]


Spread = Annotated[ZoneSpread | PackedSpread, Field(discriminator="kind")]
