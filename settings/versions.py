"""The versions of a model that stand side by side: the stable one, and the candidate of a rollout as a model of its own."""

from typing import Any

from settings.keda import DEMAND_AT_ZERO, Fallback, KedaScaling, Signal
from settings.models import Model
from settings.rollout import CanaryRollout, RollingRollout, share_of
from settings.scalars import CANARY_SUFFIX, ModelName
from settings.scaling import Autoscaling, FixedScaling


class Canary(Model):
    """A candidate, deployed beside the model that it may replace. Never read from a file: `canary_of` makes it.

    stable: name of that model, under which both are called.
    """

    stable: ModelName

    @property
    def served_name(self) -> str:
        """What clients call the model."""
        return self.stable

    @property
    def track(self) -> str:
        """Which of the two versions it is."""
        return "canary"


def canary_of(model: Model) -> Canary | None:
    """Return the candidate of a model, or None where no rollout is under way.

    Its replicas are there one step ahead, so that a rising weight meets them. A scaler may take as many as the weight
    of now is worth at the model's most: a bad version can not take the stable one's GPUs.
    """
    rollout = model.rollout
    if not isinstance(rollout, CanaryRollout) or rollout.candidate is None:
        return None
    ahead = max(rollout.weight, rollout.next_weight)
    least = share_of(model.held_replicas, ahead)
    most = max(least, share_of(model.max_replicas, rollout.weight))
    own: dict[str, Any] = {
        **dict(model),
        **dict(rollout.candidate.release.applied_to(model.release)),
        "name": model.name + CANARY_SUFFIX,
        "stable": model.name,
        "autoscaling": _of_share(model.autoscaling, least, most, ahead),
        "rollout": RollingRollout(
            kind="rolling", max_surge=rollout.max_surge, max_unavailable=rollout.max_unavailable
        ),
    }
    # Every part was checked when it was read, and a name that is too long is refused with words of its own.
    return Canary.model_construct(set(own), **own)


def stable_of(model: Model) -> Model:
    """Return a model as it stands while its rollout lasts: with the replicas to take all of the traffic back at once."""
    if canary_of(model) is None:
        return model
    scaling = _between(model.autoscaling, model.held_replicas, model.max_replicas)
    return model.model_copy(update={"autoscaling": scaling})


def versions_of(model: Model) -> tuple[Model, ...]:
    """Return what of a model is deployed, the stable version first."""
    canary = canary_of(model)
    return (model,) if canary is None else (stable_of(model), canary)


def most_at_once(model: Model) -> tuple[tuple[Model, int], ...]:
    """Return the versions and replicas that need the most GPUs together, a rollout's extra ones included.

    Each version is there for its share of the model's most, and the stable one never has fewer than it holds.
    """
    canary, rollout = canary_of(model), model.rollout
    if canary is None or not isinstance(rollout, CanaryRollout):
        return ((model, model.max_replicas + model.extra_replicas),)
    held, most = model.held_replicas, model.max_replicas

    def at(weight: int) -> tuple[tuple[Model, int], ...]:
        left = share_of(most, 100 - weight)
        return (
            (model, max(held, left) + rollout.max_surge),
            (canary, max(share_of(held, weight), share_of(most, weight))),
        )

    return max(
        map(at, rollout.steps), key=lambda pairs: sum(version.gpus * count for version, count in pairs)
    )


def _of_share(scaling: Autoscaling, least: int, most: int, weight: int) -> Autoscaling:
    """Return a candidate's scaler. KEDA's floors are shares too, and the gateway's demand is of both versions together."""
    bounded = _between(scaling, least, most)
    if not isinstance(bounded, KedaScaling):
        return bounded
    windows = [
        window.model_copy(update={"replicas": share})
        for window in bounded.windows
        if (share := share_of(window.replicas, weight)) > least
    ]
    floor = bounded.fallback.replicas
    fallback = (
        bounded.fallback
        if floor is None
        else Fallback(failures=bounded.fallback.failures, replicas=max(least, share_of(floor, weight)))
    )
    own: tuple[Signal, ...] = tuple(signal for signal in bounded.signals if signal != DEMAND_AT_ZERO)
    return bounded.model_copy(
        update={
            "max": max([most, *(window.replicas for window in windows), fallback.replicas or 0]),
            "windows": tuple(windows),
            "fallback": fallback,
            # It never has no replica, so its engines always say something.
            "signals": own or KedaScaling.model_fields["signals"].default,
        }
    )


def _between(scaling: Autoscaling, least: int, most: int) -> Autoscaling:
    """Return the same kind of scaler with other bounds, so that each Deployment keeps the one owner of its replicas."""
    if isinstance(scaling, FixedScaling):
        return scaling.model_copy(update={"replicas": least})
    return scaling.model_copy(update={"min": least, "max": most})
