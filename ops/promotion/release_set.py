"""What a stack runs: the release of each model with the digest of its image, and the versions of its charts. Pure.

It is read from the outputs of the stack's last update. What a stack file says is what shall run, and may not yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pydantic import ValidationError

from rehearsal.errors import UserError
from settings.engine import Engine
from settings.models import Model
from settings.registry import Image
from settings.release import Release
from settings.stack import Settings

OUTPUT: Final = "release"


@dataclass(frozen=True, kw_only=True)
class ReleaseSet:
    """models: what each one runs, by name; an image always with its digest. charts: versions by the unit that is installed."""

    models: Mapping[str, Release]
    charts: Mapping[str, str] = field(default_factory=dict[str, str])


def running_set(stack: str, outputs: Mapping[str, Any]) -> ReleaseSet:
    """Return what a stack runs, from its outputs.

    Raises UserError where nothing runs, where a rollout is under way, and where nobody can say which image it is.
    """
    found: Any = outputs.get(OUTPUT)
    if not isinstance(found, Mapping):
        raise UserError(
            f"stack {stack} has no output `{OUTPUT}`: it runs nothing, or was deployed by an older program.\n"
            f"fix: run `pulumi up` on {stack}"
        )
    said = cast("Mapping[str, Any]", found)
    return ReleaseSet(
        models={name: _release(stack, name, versions) for name, versions in said["models"].items()},
        charts=dict(said["charts"]),
    )


def _release(stack: str, name: str, versions: Mapping[str, Any]) -> Release:
    if "candidate" in versions:
        raise UserError(
            f"{name} of stack {stack} runs two versions: a rollout is under way.\n"
            f"fix: run it to its end with `vp rollout {name} --stack {stack}`, or `vp rollout abort {name} --stack {stack}`"
        )
    stable = versions["stable"]
    try:
        release = Release.model_validate(stable["release"])
    except ValidationError as error:
        raise UserError(
            f"what stack {stack} says of {name} is not what this program's stacks say: {error.errors()[0]['msg']}.\n"
            f"fix: run `pulumi up` on {stack} with this program"
        ) from None
    digest = str(stable["image"]).partition("@")[2]
    if not digest or release.image.digest not in {None, digest}:
        raise UserError(
            f"{name} of stack {stack} runs {stable['image']}, and no digest says which image that is: a tag can be moved.\n"
            f"fix: write its `digest` into Pulumi.{stack}.yaml, or have the image built there (`build: true`), and run `pulumi up`"
        )
    return release.model_copy(update={"image": named(release.image, digest)})


def named(image: Image, digest: str | None) -> Image:
    """Return an image as what runs is named: by its digest, whoever built it."""
    return Image(repository=image.repository, tag=image.tag, digest=digest)


def not_as_written(running: ReleaseSet, settings: Settings) -> list[str]:
    """Return where a stack runs something else than its file says, a line for each thing. Of a built image the file knows no digest."""
    written = {model.name: model for model in settings.enabled_models}
    found = [f"{name}: in the file, and not deployed" for name in written.keys() - running.models.keys()]
    found += [f"{name}: deployed, and not in the file" for name in running.models.keys() - written.keys()]
    for name in written.keys() & running.models.keys():
        model, release = written[name], running.models[name]
        digest = release.image.digest if model.image.is_built else model.image.digest
        own = model.release.model_copy(update={"image": named(model.image, digest)})
        found += [f"{name}: {line}" for line in differences(own, release, "the file says", "it runs")]
    return sorted(found)


def not_as_made(outputs: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Return where an engine runs with other flags than a program makes of the same settings, a line for each model.

    outputs: of the stack as it runs. made: what the program would export.
    """
    found: list[str] = []
    here = _flags(made)
    for name, flags in sorted(_flags(outputs).items()):
        then, now = (
            [flag for flag in one if flag not in other]
            for one, other in ((flags, here.get(name, [])), (here.get(name, []), flags))
        )
        # In another order they may mean something else.
        if flags != here.get(name):
            pairs = (("it runs", then), ("made here", now))
            said = [f"{word} {' '.join(some)}" for word, some in pairs if some]
            found.append(f"{name}: {', '.join(said) or 'the same flags in another order'}")
    return found


def _flags(outputs: Mapping[str, Any]) -> dict[str, list[str]]:
    models = cast("Mapping[str, Any]", outputs.get(OUTPUT, {}).get("models", {}))
    return {name: list(versions["stable"].get("engine_args", ())) for name, versions in models.items()}


def differences(first: Release, second: Release, one: str, other: str) -> Iterator[str]:
    """Yield where two releases differ, with both values. one, other: words before each of them."""
    for name in Release.model_fields:
        before: object = getattr(first, name)
        after: object = getattr(second, name)
        if before == after:
            continue
        if isinstance(before, Engine):
            for key in Engine.model_fields:
                old, new = getattr(before, key), getattr(after, key)
                if old != new:
                    yield f"engine.{key}: {one} {shown(old)}, {other} {shown(new)}"
        else:
            yield f"{name}: {one} {shown(before)}, {other} {shown(after)}"


def shown(value: object) -> str:
    """Say what a part of a release is, in a few words."""
    if isinstance(value, Image):
        tagged = f"{value.repository}:{value.tag}"
        return tagged if value.digest is None else f"{tagged}@{value.digest}"
    dump: Any = getattr(value, "model_dump", None)
    if dump is not None:
        entries = cast("dict[str, object]", dump(mode="json", exclude_none=True, exclude_defaults=True))
        return ", ".join(f"{key} {entry}" for key, entry in entries.items())
    return "none" if value is None else str(value)


def stopped(settings: Settings) -> set[str]:
    """Return the models that a stack has and that run nothing."""
    return {model.name for model in settings.enabled_models if model.stopped}


def written_release(model: Model) -> Release:
    """Return what a stack file names, as what runs is named."""
    return model.release.model_copy(update={"image": named(model.image, model.image.digest)})
