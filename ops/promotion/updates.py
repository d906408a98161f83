"""Since when a stack runs what it runs, and what it ran before: read from the updates that Pulumi keeps. Pure.

An update's record holds the stack's settings as they were, and the commit that it ran from. Both decide what runs: versions
of charts, an engine's flags, and what an image is built from, stand in the program. What can not be told apart from a change counts as one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from pydantic import ValidationError

from rehearsal.engine import Update
from rehearsal.errors import UserError
from settings.models import Model
from settings.release import Release

CHARTS: Final = ("components/charts.py",)
IMAGES: Final = (
    # What is built, of what, and how it is named.
    *("docker", "components/images.py", "components/vllm_image.py", "settings/image_build.py"),
    *("settings/builds.py", "settings/registry.py", "settings/sources.py", "settings/weights.py"),
    *("settings/models.py", "settings/facts.py", "settings/data/models.yaml"),
)
PROGRAM: Final = (
    *CHARTS,
    *IMAGES,
    # What an engine is called with, and what stands around it in its container.
    *("components/engine_args.py", "components/engine_files.py", "components/inference_service.py"),
    # What a release holds, and what is taken where a stack file says nothing.
    *("settings/release.py", "settings/engine.py", "settings/adapters.py"),
)
"""What of the program decides what runs, beside the settings."""
_MODELS: Final = "models"
_OTHERS: Final = ("addons", "builds")

SameProgram = Callable[[str, str], bool]
"""Tells whether two commits have the same PROGRAM; False where one of them is not known here."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """since: when the first update ended that deployed what runs. commit: of the last one; None where it is not known."""

    since: datetime
    commit: str | None


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What a stack ran before. models: as its file had them, by name. charts: that were promoted to it then.

    update: by which it came. since: the updates behind that one, however they ended.
    """

    models: Mapping[str, Mapping[str, Any]]
    charts: Sequence[Mapping[str, str]]
    update: Update
    since: Sequence[Update] = ()

    @property
    def commit(self) -> str | None:
        """Of the program then; None where it is not known."""
        return self.update.commit


def current_run(stack: str, updates: Sequence[Update], same_program: SameProgram) -> Run:
    """Return since when a stack runs unchanged. updates: the newest first. Raises UserError where the last one failed."""
    done = [update for update in updates if update.kind in {"update", "destroy"}]
    last = done[0] if done else None
    if last is None or last.kind == "destroy" or last.ended is None:
        state = "was never deployed" if last is None else "was destroyed, or is being updated right now"
        raise UserError(f"stack {stack} {state}: it runs nothing that could be promoted.")
    if last.result != "succeeded":
        raise UserError(
            f"the last update of stack {stack} {last.result}: nobody knows what runs there.\n"
            f"fix: run `pulumi up` on {stack} until it succeeds"
        )
    since = last.ended
    for update in done[1:]:
        if update.kind == "destroy" or update.result != "succeeded" or update.ended is None:
            break
        if _decides(update) != _decides(last) or not same_made(update, last, same_program):
            break
        since = update.ended
    return Run(since=since, commit=last.commit)


def earlier_run(stack: str, updates: Sequence[Update], now: Mapping[str, Mapping[str, Any]]) -> Earlier:
    """Return the newest set that a stack ran and that is not the one of its file. Raises UserError where there is none.

    now: releases of its file. A default that is written out makes no other set.
    """
    for index, update in enumerate(updates):
        if update.kind != "update" or update.result != "succeeded" or update.ended is None:
            continue
        models = {name: release_of(entry) for name, entry in enabled(update).items()}
        if any(parsed(models[name]) != parsed(now[name]) for name in models.keys() & now.keys()):
            promotion = cast("Mapping[str, Any]", section(update, "promotion") or {})
            return Earlier(
                models=models,
                charts=promotion.get("charts") or (),
                update=update,
                since=tuple(one for one in updates[:index] if one.kind == "update"),
            )
    raise UserError(f"stack {stack} ran no other release set before, as far as Pulumi remembers.")


def release_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a model in a stack file is its release."""
    return {key: entry[key] for key in Release.model_fields if key in entry}


def parsed(release: Mapping[str, Any]) -> Release | Mapping[str, Any]:
    """Return what a stack file said of a release with its defaults; as it is where this program does not read it any more."""
    try:
        return Release.model_validate({"source": Model.model_fields["source"].default, **release})
    except ValidationError:
        return release


def _decides(update: Update) -> object:
    models = {name: parsed(release_of(entry)) for name, entry in enabled(update).items()}
    return models, [section(update, name) for name in _OTHERS]


def enabled(update: Update) -> dict[str, Mapping[str, Any]]:
    """Return the models that an update deployed, as the stack file had them then."""
    entries = cast("list[Mapping[str, Any]]", section(update, _MODELS) or [])
    return {str(entry["name"]): entry for entry in entries if entry.get("enabled", True)}


def section(update: Update, name: str) -> object:
    """Return a section of the stack file as it was then; None where it had none."""
    text = update.config.get(name)
    return None if text is None else json.loads(text)


def same_made(one: Update, other: Update, same_program: SameProgram) -> bool:
    """Tell whether two updates ran the same program, as far as `same_program` looks."""
    if one.commit is None or other.commit is None:
        return False
    return one.commit == other.commit or same_program(one.commit, other.commit)
