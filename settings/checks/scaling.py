"""How a model is scaled: bounds that can hold, signals that can be read, windows and targets that do something."""

from collections.abc import Iterable

from settings.checks.naming import at, listed, repeated
from settings.draft import Draft
from settings.keda import DEMAND_AT_ZERO, KedaScaling
from settings.models import Model
from settings.problems import Problem
from settings.scaling import FixedScaling, HpaScaling


def check(draft: Draft) -> list[Problem]:
    """Return the problems of each model's scaler."""
    problems: list[Problem] = []
    for model in draft.models:
        scaling = model.autoscaling
        if isinstance(scaling, FixedScaling):
            continue
        problems += _bounds(model, scaling)
        if isinstance(scaling, KedaScaling):
            problems += [
                *_signals(model, scaling),
                *_windows(model, scaling),
                *_fallback(model, scaling),
            ]
    return problems


def _bounds(model: Model, scaling: HpaScaling | KedaScaling) -> Iterable[Problem]:
    path = at(model, "autoscaling", "min")
    if scaling.min > scaling.max:
        yield Problem(
            path,
            scaling.min,
            f"min is above max ({scaling.max})",
            f"write a min of at most {scaling.max}, or raise max",
        )
    if isinstance(scaling, HpaScaling) and scaling.min == 0:
        reason = "at zero replicas there is no GPU utilisation, so nothing would ever scale it up again"
        yield Problem(path, 0, reason, f"write min: 1, or use `kind: keda` with the signal {DEMAND_AT_ZERO}")


def _signals(model: Model, scaling: KedaScaling) -> Iterable[Problem]:
    signals, path = listed(scaling.signals), at(model, "autoscaling")
    if scaling.min == 0 and DEMAND_AT_ZERO not in scaling.signals:
        reason = f"at zero replicas the engine reports nothing: {signals} would never scale it up again"
        yield Problem(f"{path}.min", 0, reason, f"add the signal {DEMAND_AT_ZERO}, or write min: 1")
    yield from repeated(scaling.signals, f"{path}.signals", "the signal")
    for target in scaling.unread_targets:
        signal = target.replace("_", "-")
        yield Problem(
            f"{path}.targets.{target}",
            getattr(scaling.targets, target),
            f"the signals are {signals}: nobody would read this target",
            f"add the signal {signal}, or remove the target",
        )
    if scaling.min > 0 and "to_zero" in scaling.model_fields_set:
        reason = f"with a min of {scaling.min} it never has no replica, so these times would do nothing"
        yield Problem(f"{path}.to_zero", None, reason, "remove it, or write min: 0")
    cooldown, startup = scaling.to_zero.cooldown_seconds, model.lifecycle.startup_seconds
    if scaling.min == 0 and cooldown < startup:
        reason = f"the first replica could go before it ever served (lifecycle.startup_seconds is {startup})"
        yield Problem(
            f"{path}.to_zero.cooldown_seconds",
            cooldown,
            reason,
            f"write at least {startup}, or a shorter startup",
        )


def _windows(model: Model, scaling: KedaScaling) -> Iterable[Problem]:
    path = at(model, "autoscaling", "windows")
    names = {*scaling.signals}
    yield from repeated((window.name for window in scaling.windows), path, "the window's name")
    for window in scaling.windows:
        here = f"{path}[{window.name}]"
        if window.name in names:
            reason = "a signal has this name, and each trigger of a ScaledObject needs its own"
            yield Problem(f"{here}.name", window.name, reason, "name it by its hours, e.g. day")
        if window.start == window.end:
            yield Problem(f"{here}.end", window.end, "it ends when it begins", "write another end")
        if window.replicas > scaling.max:
            reason = f"more than the model may have at most ({scaling.max})"
            yield Problem(
                f"{here}.replicas", window.replicas, reason, f"write {scaling.max} or less, or raise max"
            )
        elif window.replicas <= scaling.min:
            reason = f"there are at least {scaling.min} at all hours, so the window would do nothing"
            yield Problem(
                f"{here}.replicas", window.replicas, reason, f"write more than {scaling.min}, or lower min"
            )


def _fallback(model: Model, scaling: KedaScaling) -> Iterable[Problem]:
    replicas = scaling.fallback.replicas
    if replicas is not None and not scaling.min <= replicas <= scaling.max:
        reason = f"outside of what the model may have ({scaling.min} to {scaling.max})"
        fix = f"write a number from {max(scaling.min, 1)} to {scaling.max}"
        yield Problem(at(model, "autoscaling", "fallback", "replicas"), replicas, reason, fix)
