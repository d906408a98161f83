"""Promotion: a stack that gets what another one ran builds nothing itself."""

from collections.abc import Iterable

from settings.addon_catalogue import CATALOGUE
from settings.checks.naming import at, repeated
from settings.draft import Draft
from settings.problems import Problem
from settings.promotion import Promotion
from settings.structure import suggest
from settings.versions import versions_of


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the section, and of images that would be built."""
    if draft.promotion is None:
        return []
    return [*_charts(draft.promotion), *_environment(draft), *_built(draft, draft.promotion)]


def _charts(promotion: Promotion) -> Iterable[Problem]:
    known = {unit.name for unit in CATALOGUE}
    names = [pin.name for pin in promotion.charts]
    yield from repeated(names, "promotion.charts", "the chart")
    for name in names:
        if name not in known:
            yield Problem(
                f"promotion.charts[{name}].name",
                name,
                "nothing is installed under this name",
                f"{suggest(name, known)}let `vp promote` write the list",
            )


def _environment(draft: Draft) -> Iterable[Problem]:
    if draft.environment == "dev" and draft.promotion is not None:
        yield Problem(
            "promotion.source",
            draft.promotion.source,
            "a stack of `dev` is where releases begin",
            "remove the section `promotion`",
        )


def _built(draft: Draft, promotion: Promotion) -> Iterable[Problem]:
    for model in (version for each in draft.models for version in versions_of(each)):
        # In prod an image without a digest is refused whether it is built or not.
        if model.image.is_built and draft.environment != "prod":
            yield Problem(
                at(model, "image", "build"),
                True,  # noqa: FBT003 - the value that stands in the file
                f"what runs here is what ran in {promotion.source}, and an image that is built here is another one",
                f"remove `build`, and write the digest that `vp promote {promotion.source} STACK` finds",
            )
