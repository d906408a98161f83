"""Images that a stack built itself: which one a tag was when an earlier set ran.

An update's record holds the tag alone. The registry says what it is, as long as nothing else was built under it since.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ops.promotion.updates import Earlier, SameProgram, enabled, parsed, release_of, same_made, section
from rehearsal.engine import Update
from rehearsal.errors import UserError
from settings.registry import Image
from settings.release import Release

DigestOf = Callable[[Image], str | None]
"""Asks the stack's registry which image a tag is; None where it has none."""


def by_digests(
    stack: str,
    earlier: Earlier,
    now: Mapping[str, Mapping[str, Any]],
    same_images: SameProgram,
    digest_of: DigestOf | None,
) -> Earlier:
    """Return an earlier set in which what was built is named by its digest: built anew it would be another image.

    now: releases of the stack's file; what would not change is left alone. digest_of: None where there is none to ask.
    Raises UserError where nobody can say which image it was.
    """
    models = {
        name: release
        if name not in now or parsed(release) == parsed(now[name])
        else _named(f"{name} of stack {stack}", release, earlier, same_images, digest_of)
        for name, release in earlier.models.items()
    }
    return replace(earlier, models=models)


def _named(
    whose: str,
    release: Mapping[str, Any],
    earlier: Earlier,
    same_images: SameProgram,
    digest_of: DigestOf | None,
) -> Mapping[str, Any]:
    image = _image(release)
    if image is None or not image.is_built:
        return release
    tagged = f"{image.repository}:{image.tag}"
    digest, why = None, "a rehearsal asks no registry"
    if any(_built_otherwise(image, release, earlier, update, same_images) for update in earlier.since):
        why = f"{tagged} was built again since, of something else"
    elif digest_of is not None:
        digest, why = digest_of(image), "the registry has none with this tag"
    if digest is None:
        raise UserError(
            f"{whose} ran an image that was built as {tagged}, and nobody can say which image that was: {why}.\n"
            "fix: write by hand what shall run, its image with the `digest` that is known to be good, and run `pulumi up`"
        )
    return {**release, "image": {"repository": image.repository, "tag": image.tag, "digest": digest}}


def _built_otherwise(
    image: Image,
    release: Mapping[str, Any],
    earlier: Earlier,
    update: Update,
    same_images: SameProgram,
) -> bool:
    """Tell whether an update may have put another image under the tag."""
    for other in map(release_of, enabled(update).values()):
        found = _image(other)
        if found is None or not found.is_built:
            continue
        if (found.repository, found.tag) == (image.repository, image.tag):
            theirs, ours = (
                [*_recipe(one), section(of, "builds")]
                for one, of in ((other, update), (release, earlier.update))
            )
            if theirs != ours or not same_made(update, earlier.update, same_images):
                return True
    return False


def _recipe(release: Mapping[str, Any]) -> Iterator[object]:
    """Yield what of a release its image is built of: of the engine's settings only the leave to take code."""
    read = parsed(release)
    if not isinstance(read, Release):
        yield read
        return
    yield from (read.model, read.source, read.revision, read.weights, read.engine.trust_remote_code)


def _image(release: Mapping[str, Any]) -> Image | None:
    """Return the image of a release, or None for one that this program does not read any more."""
    try:
        return Image.model_validate(release.get("image"))
    except ValidationError:
        return None
