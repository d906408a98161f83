"""What a model says about itself: image, resources, paths and times."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from settings.checks.amounts import requests_within_limits
from settings.checks.images import named_by_digest
from settings.checks.naming import at, listed, of_versions
from settings.draft import Draft
from settings.facts import models
from settings.models import Model
from settings.problems import Problem
from settings.structure import suggest
from settings.weights import BakedWeights, CachedWeights


def check(draft: Draft) -> list[Problem]:
    """Return the problems of each model by itself."""

    def release(model: Model) -> Iterable[Problem]:
        yield from _facts(model)
        yield from _paths(model)
        yield from named_by_digest(model.image, at(model, "image"), draft)

    problems = of_versions(draft.models, release)
    for model in draft.models:
        resources = requests_within_limits(model.resources, at(model, "resources", "requests"))
        problems += [*resources, *_times(model), *_objectives(model)]
    return problems


def _facts(model: Model) -> Iterable[Problem]:
    facts = models().get(model.model)
    if facts is None:
        known = f"use one of: {listed(models())}"
        fix = f"{suggest(model.model, models())}{known}, or add the model to settings/data/models.yaml"
        yield Problem(at(model, "model"), model.model, "there are no facts about this model", fix)
        return
    if model.task not in facts.tasks:
        yield Problem(
            at(model, "task"),
            model.task,
            f"{model.model} is made to {listed(facts.tasks)}",
            f"write `task: {facts.tasks[0]}` or choose another model",
        )
    if model.engine.max_model_len > facts.max_positions:
        reason = f"the model knows {facts.max_positions:,} positions"
        yield Problem(
            at(model, "engine", "max_model_len"),
            model.engine.max_model_len,
            reason,
            f"write {facts.max_positions} or less",
        )


def _paths(model: Model) -> Iterable[Problem]:
    """No volume may lie over, under or on another one, or on the weights: what is below a mount is hidden."""
    taken: list[tuple[str, str]] = []
    if isinstance(model.weights, BakedWeights):
        taken.append(("the baked weights", model.weights.path))
    if isinstance(model.weights, CachedWeights):
        taken.append((f"the cache {model.weights.claim}", model.weights.mount_path))
    for index, mount in enumerate(model.mounts):
        path = PurePosixPath(mount.path)
        for owner, other in taken:
            if path.is_relative_to(other) or PurePosixPath(other).is_relative_to(path):
                reason = f"the claim {mount.claim} would hide {owner} at {other}, or be hidden by it"
                yield Problem(
                    f"{at(model, 'mounts')}[{index}].path",
                    mount.path,
                    reason,
                    f"mount it beside {other}, e.g. at /mnt/{mount.claim}",
                )
        taken.append((f"the claim {mount.claim}", mount.path))


def _times(model: Model) -> Iterable[Problem]:
    startup, ready = model.lifecycle.startup_seconds, model.ready_timeout_seconds
    if ready < startup:
        reason = (
            f"`pulumi up` would give up before the model may be up (lifecycle.startup_seconds is {startup})"
        )
        yield Problem(
            at(model, "ready_timeout_seconds"),
            ready,
            reason,
            f"write at least {startup}, and time for a new node and its image",
        )


def _objectives(model: Model) -> Iterable[Problem]:
    """An objective of what the engine never counts would never be broken."""
    seconds = model.objectives.inter_token_seconds
    if seconds is not None and model.task == "embed":
        reason = "an embedding is answered whole: there is no time between its tokens"
        yield Problem(
            at(model, "objectives", "inter_token_seconds"),
            seconds,
            reason,
            "remove it, or use first_token_seconds",
        )
