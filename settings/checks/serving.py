"""What a model says about itself: image, resources, paths, scaling, rollout and times."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from settings.checks.naming import at, listed, repeated
from settings.draft import Draft
from settings.facts import models
from settings.models import Model
from settings.problems import Problem
from settings.scaling import CanaryRollout, FixedScaling, HpaScaling, KedaScaling
from settings.structure import suggest
from settings.weights import BakedWeights, CachedWeights

WHOLE = 100
DEMAND_AT_ZERO = "gateway-demand"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of each model by itself."""
    problems: list[Problem] = []
    for model in draft.models:
        problems += [
            *_facts(model),
            *_resources(model),
            *_scaling(model),
            *_rollout(model),
            *_paths(model),
            *_times(model),
        ]
        if draft.environment == "prod" and model.image.digest is None:
            fix = "add `digest: sha256:...` as the push printed it"
            problems.append(
                Problem(
                    at(model, "image", "digest"), None, "prod runs images by digest: a tag can be moved", fix
                )
            )
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


def _resources(model: Model) -> Iterable[Problem]:
    requests, limits = model.resources.requests, model.resources.limits
    path = at(model, "resources", "requests")
    if requests.cpu_m > limits.cpu_m:
        yield Problem(
            f"{path}.cpu",
            requests.cpu,
            f"requests more than its limit ({limits.cpu})",
            "raise the limit or lower the request",
        )
    if requests.memory_mib > limits.memory_mib:
        yield Problem(
            f"{path}.memory",
            requests.memory,
            f"requests more than its limit ({limits.memory})",
            "raise the limit or lower the request",
        )


def _scaling(model: Model) -> Iterable[Problem]:
    scaling = model.autoscaling
    if isinstance(scaling, FixedScaling):
        return
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
    if isinstance(scaling, KedaScaling):
        if scaling.min == 0 and DEMAND_AT_ZERO not in scaling.signals:
            signals = listed(scaling.signals)
            reason = f"at zero replicas the engine reports nothing: {signals} would never scale it up again"
            yield Problem(path, 0, reason, f"add the signal {DEMAND_AT_ZERO}, or write min: 1")
        yield from repeated(scaling.signals, at(model, "autoscaling", "signals"), "the signal")


def _rollout(model: Model) -> Iterable[Problem]:
    rollout = model.rollout
    if isinstance(rollout, CanaryRollout):
        yield from _canary(rollout.steps, at(model, "rollout", "steps"))
        return
    path = at(model, "rollout", "max_unavailable")
    if rollout.max_surge == 0 and rollout.max_unavailable == 0:
        yield Problem(
            path,
            0,
            "with no replica more and none less a new version could never come in",
            "write max_surge: 1 or max_unavailable: 1",
        )
    elif model.min_replicas > 1 and rollout.max_unavailable >= model.min_replicas:
        reason = f"a new version would take all {model.min_replicas} replicas away at once"
        yield Problem(path, rollout.max_unavailable, reason, f"write {model.min_replicas - 1} or less")


def _canary(steps: Sequence[int], path: str) -> Iterable[Problem]:
    fix = "write rising percentages that end at 100, e.g. [5, 25, 50, 100]"
    for index, step in enumerate(steps):
        if not 0 < step <= WHOLE:
            yield Problem(
                f"{path}[{index}]", step, "is no share of the traffic: more than 0, at most 100 percent", fix
            )
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield Problem(path, list(steps), "the steps do not rise", fix)
    if steps[-1] != WHOLE:
        yield Problem(
            path, list(steps), "the last step is not 100, so the old version would stay for ever", fix
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
