"""The stack file that gets a release set: single values of it change, everything else stays as it is. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from ops.promotion.release_set import ReleaseSet, differences, stopped, written_release
from ops.stack_edit import Step, remove, set_value
from rehearsal.errors import UserError
from settings.loader import load_stack_text
from settings.models import Model
from settings.release import Release
from settings.rollout import CanaryRollout
from settings.sources import BucketSource
from settings.stack import Settings
from settings.storage import NoBucket
from settings.weights import CachedWeights, StreamedWeights, bucket_and_prefix

_MODELS: Final = "vllm-platform:models"
_CHARTS: Final[tuple[Step, ...]] = ("config", "vllm-platform:promotion", "charts")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a stack file would say.

    wanted: the releases that are new to it or not, by model. changes: lines that say what differs from before.
    left: models of it that stay as they are, each with the reason. elsewhere: models that only the source has.
    """

    text: str
    wanted: Mapping[str, Release]
    changes: tuple[str, ...]
    left: Mapping[str, str]
    elsewhere: tuple[str, ...]


def propose(source: tuple[str, Settings, ReleaseSet], target: tuple[str, Settings], text: str) -> Proposal:
    """Return the target's file with what the source runs.

    source: the stack's name, its settings, and what it runs. text: the target's file. Raises UserError where a rollout is
    under way in the target, SettingsError where the target can not run it.
    """
    source_name, source_settings, running = source
    name, settings = target
    off = stopped(source_settings)
    wanted: dict[str, Release] = {}
    left: dict[str, str] = {}
    changes: list[str] = []
    for model in settings.models:
        release = running.models.get(model.name)
        if release is None or model.name in off:
            state = "stopped" if model.name in off else "not run"
            left[model.name] = f"{state} in {source_name}"
            continue
        _no_rollout(name, model)
        new = release_here(release, model, source_settings, settings)
        wanted[model.name] = new
        before = written_release(model)
        changes += [f"{model.name}: {line}" for line in differences(before, new, "was", "now")]
        text = with_release(text, model, new)
    pins, added = _pins(settings, running.charts)
    changes += added
    if added:
        listed = [{"name": unit, "version": version} for unit, version in sorted(pins.items())]
        text = set_value(text, _CHARTS, listed)
    result = load_stack_text(name, text)
    if {model.name: written_release(model) for model in result.models if model.name in wanted} != wanted:
        raise UserError(f"Pulumi.{name}.yaml does not say what was meant: change it by hand")
    elsewhere = sorted(running.models.keys() - off - {model.name for model in settings.models})
    return Proposal(text=text, wanted=wanted, changes=tuple(changes), left=left, elsewhere=tuple(elsewhere))


def _pins(settings: Settings, charts: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the charts that are promoted, and what of them is new. What only the target installs is free."""
    before = settings.promotion.pins if settings.promotion else {}
    units = {unit.name for unit in settings.asked.units("managed")}
    pins = {unit: version for unit, version in charts.items() if unit in units}
    changed = [unit for unit in sorted({*pins, *before}) if pins.get(unit) != before.get(unit)]
    return pins, [
        f"chart {unit}: was {before.get(unit, 'free')}, now {pins.get(unit, 'free')}" for unit in changed
    ]


def _no_rollout(stack: str, model: Model) -> None:
    if isinstance(model.rollout, CanaryRollout) and model.rollout.candidate is not None:
        raise UserError(
            f"a rollout of {model.name} is under way in stack {stack}.\n"
            f"fix: run it to its end with `vp rollout {model.name} --stack {stack}`, "
            f"or `vp rollout abort {model.name} --stack {stack}`"
        )


def release_here(release: Release, model: Model, source: Settings, target: Settings) -> Release:
    """Return a release as the target runs it: weights of the source's own bucket lie in the target's, a claim is the target's."""
    weights = release.weights
    if isinstance(weights, StreamedWeights):
        weights = weights.model_copy(update={"uri": _uri_here(weights.uri, source, target)})
    elif isinstance(weights, CachedWeights) and isinstance(model.weights, CachedWeights):
        weights = weights.model_copy(update={"claim": model.weights.claim})
    origin = release.source
    if isinstance(origin, BucketSource):
        origin = origin.model_copy(update={"uri": _uri_here(origin.uri, source, target)})
    return release.model_copy(update={"weights": weights, "source": origin})


def _uri_here(uri: str, source: Settings, target: Settings) -> str:
    bucket, prefix = bucket_and_prefix(uri)
    own = _bucket_of(target)
    return uri if own is None or bucket != _bucket_of(source) else f"s3://{own}/{prefix}"


def _bucket_of(settings: Settings) -> str | None:
    return None if isinstance(settings.storage.bucket, NoBucket) else settings.storage.bucket.name


def with_release(text: str, model: Model, release: Release) -> str:
    """Return a stack file in which a model runs a release. What says so already is left as it is written."""
    before = written_release(model)
    for key in Release.model_fields:
        value, written = getattr(release, key), getattr(model, key)
        if value != getattr(before, key):
            path: Sequence[Step] = ["config", _MODELS, ("name", model.name), key]
            text = set_value(text, path, _as_written(value, written))
    return text


def _as_written(value: object, before: object) -> object:
    """Return a value as a file would have it: without defaults, but with the keys that stand there already."""
    if not isinstance(value, BaseModel):
        return value
    short: dict[str, Any] = value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if isinstance(before, type(value)):
        whole: dict[str, Any] = value.model_dump(mode="json", exclude_none=True)
        return dict(_in_order(short, whole, before.model_fields_set))
    return short


def _in_order(
    short: Mapping[str, Any], whole: Mapping[str, Any], kept: set[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the keys that are needed, and those of `kept` that a value of this kind has."""
    yield from (
        (key, value)
        for key, value in whole.items()
        # What built an image builds none where it is named by its digest.
        if key != "build" and (key in short or key in kept)
    )


def without_pins(text: str) -> str:
    """Return a stack file that lets the program install any version of a chart."""
    return remove(text, _CHARTS)
