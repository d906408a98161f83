"""What `--to` names: an image, a revision of the weights, or both."""

import re
from collections.abc import Sequence
from typing import Any, Final

from rehearsal.errors import UserError
from settings.models import Model
from settings.release import Release

_REVISION: Final = re.compile(r"[0-9a-f]{40}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
FORMS: Final = "[REPOSITORY:]TAG[@DIGEST], a digest, or a revision of 40 hex digits"


def release_change(model: Model, names: Sequence[str]) -> dict[str, Any]:
    """Return the release as a stack file holds it: what differs from the stable one, each key whole.

    Nothing where nothing differs. Raises UserError for a name that is none.
    """
    return {key: value for key, value in _named(model, names).items() if value != _own(model.release)[key]}


def names_it(model: Model, names: Sequence[str], release: Release) -> bool:
    """Tell whether the names are those of a release, in what they say. Raises UserError for a name that is none."""
    return all(value == _own(release)[key] for key, value in _named(model, names).items())


def _named(model: Model, names: Sequence[str]) -> dict[str, Any]:
    """Read the names. Of an image, what one leaves out is the stable one's; but never its digest: another tag is another image."""
    found: dict[str, Any] = {}
    for name in names:
        key, value = ("revision", name) if _REVISION.fullmatch(name) else ("image", _image(model, name))
        if key in found:
            raise UserError(
                f"--to names two of one kind: {', '.join(names)}. Give one image and one revision."
            )
        found[key] = value
    return found


def _own(release: Release) -> dict[str, Any]:
    image = release.image.model_dump(exclude_none=True, exclude_defaults=True)
    return {"image": image, "revision": release.revision}


def _image(model: Model, name: str) -> dict[str, Any]:
    image = model.image
    if _DIGEST.fullmatch(name):
        return {"repository": image.repository, "tag": image.tag, "digest": name}
    tagged, at, digest = name.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise UserError(f"--to {name}: {digest!r} is no digest. Write {FORMS}.")
    repository, colon, tag = tagged.rpartition(":")
    if not tag or "/" in tag:
        raise UserError(f"--to {name}: there is no tag in it. Write {FORMS}.")
    return {
        "repository": repository if colon else image.repository,
        "tag": tag,
        # What is named by its digest is there already.
        **({"digest": digest} if at else {"build": True} if image.build else {}),
    }
