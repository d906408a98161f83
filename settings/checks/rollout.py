"""How a new version comes in: a rolling update that can move, a canary whose steps, candidate and way in fit together."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from settings.checks.naming import at
from settings.draft import Draft
from settings.models import Model
from settings.problems import Problem
from settings.rollout import WHOLE, CanaryRollout, Candidate, RollingRollout, Rollout, share_of
from settings.scalars import CANARY_SUFFIX, DNS_LABEL_MAX, MODEL_NAME_MAX, PREDICTOR_SUFFIX
from settings.scaling import FixedScaling
from settings.weights import BakedWeights, CachedWeights, Weights

STEPS_FIX = "write rising percentages that end at 100, e.g. [5, 25, 50, 100]"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of each model's rollout."""
    problems: list[Problem] = []
    for model in draft.models:
        rollout = model.rollout
        problems += _replacing(model, rollout)
        if isinstance(rollout, RollingRollout):
            continue
        steps = list(_steps(rollout.steps, at(model, "rollout", "steps")))
        problems += [*steps, *_waits(model, rollout), *_names(model, draft), *_gateway(model, draft)]
        if rollout.candidate is not None:
            problems += _candidate(model, rollout, rollout.candidate)
        if not steps:
            problems += _first_step(model, rollout)
    return problems


def _replacing(model: Model, rollout: Rollout) -> Iterable[Problem]:
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


def _steps(steps: Sequence[int], path: str) -> Iterable[Problem]:
    for index, step in enumerate(steps):
        if not (0 <= step <= WHOLE and (step or index == 0)):
            reason = "is no share of the traffic: at most 100 percent, and 0 only as the first step"
            yield Problem(f"{path}[{index}]", step, reason, STEPS_FIX)
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield Problem(path, list(steps), "the steps do not rise", STEPS_FIX)
    if steps[-1] != WHOLE:
        yield Problem(
            path, list(steps), "the last step is not 100, so the old version would stay for ever", STEPS_FIX
        )


def _waits(model: Model, rollout: CanaryRollout) -> Iterable[Problem]:
    bake, longest = rollout.bake_seconds, rollout.judge.max_wait_seconds
    if longest <= bake:
        path = at(model, "rollout", "judge", "max_wait_seconds")
        reason = f"a step is looked at for {bake} s, so it would be over before it can be good"
        yield Problem(path, longest, reason, f"write more than {bake}, or a shorter bake_seconds")


def _first_step(model: Model, rollout: CanaryRollout) -> Iterable[Problem]:
    """KServe's own number is waited for; of a scaler's, only the first replica is sure to be there."""
    if isinstance(model.autoscaling, FixedScaling):
        return
    first = rollout.steps[0]
    needed = share_of(model.held_replicas, first)
    if needed > 1:
        reason = f"{first} % of what {model.held_replicas} replicas do takes {needed}, and the traffic waits for one alone"
        fix = "write 0 first, so that the scaler brings up the replicas before the traffic comes"
        yield Problem(f"{at(model, 'rollout', 'steps')}[0]", first, reason, f"{fix}: {[0, *rollout.steps]}")


def _names(model: Model, draft: Draft) -> Iterable[Problem]:
    """The new version is an InferenceService of its own, named after the model."""
    name = model.name + CANARY_SUFFIX
    if any(other.name == name for other in draft.models):
        reason = f"the new version of {model.name} is called {name}, and so is another model"
        yield Problem(f"models[{name}].name", name, reason, "give that model another name")
    namespace = draft.namespace or ""
    most = min(MODEL_NAME_MAX, DNS_LABEL_MAX - len(PREDICTOR_SUFFIX) - 1 - len(namespace))
    # A name that is too long even alone is refused in other words.
    if len(model.name) <= most < len(name):
        reason = f"the new version would be called {name}, with {len(name)} characters, at most {most} are possible"
        fix = f"shorten the name to {most - len(CANARY_SUFFIX)} characters or fewer"
        yield Problem(at(model, "name"), model.name, reason, fix)


def _gateway(model: Model, draft: Draft) -> Iterable[Problem]:
    if not model.enabled or draft.asked is None or draft.asked.choice("envoy_gateway") != "off":
        return
    yield Problem(
        at(model, "rollout", "kind"),
        "canary",
        "shares of the traffic are dealt out by Envoy Gateway, and addons.envoy_gateway is off",
        "switch it on, with gateway_api, or write `rollout: {kind: rolling}`",
    )


def _candidate(model: Model, rollout: CanaryRollout, candidate: Candidate) -> Iterable[Problem]:
    path, last = at(model, "rollout", "candidate"), len(rollout.steps) - 1
    if candidate.step > last:
        reason = f"there are {last + 1} steps, and the first one is 0"
        yield Problem(f"{path}.step", candidate.step, reason, f"write 0 to {last}")
        return
    if model.stopped:
        reason = "the model is stopped, so the new version could never be Ready"
        yield Problem(path, None, reason, "remove the candidate, or start the model: `stopped: false`")
    least, most = max(1, model.min_replicas), model.max_replicas
    if candidate.replicas is not None and least <= most and not least <= candidate.replicas <= most:
        reason = f"the model has {least} to {most} replicas"
        yield Problem(
            f"{path}.replicas", candidate.replicas, reason, f"write {least} to {most}, or leave it out"
        )
    if candidate.release.applied_to(model.release) == model.release and rollout.weight != WHOLE:
        reason = "the candidate is what runs already; only at 100 percent, when it was taken over, the two are equal"
        fix = "write what differs (image, model, revision, weights, engine), or remove the candidate"
        yield Problem(f"{path}.release", candidate.release.model_dump(exclude_none=True), reason, fix)
        return
    yield from _weights(model, candidate, f"{path}.release")


def _place(weights: Weights) -> tuple[str, ...]:
    """Return where weights outside of an image lie."""
    if isinstance(weights, CachedWeights):
        return weights.claim, weights.sub_path
    return ("", "") if isinstance(weights, BakedWeights) else ("", weights.uri)


def _weights(model: Model, candidate: Candidate, path: str) -> Iterable[Problem]:
    """Two revisions can not lie in one place, and an image can not change under its tag."""
    old, new = model.release, candidate.release.applied_to(model.release)
    if (old.model, old.source, old.revision) != (new.model, new.source, new.revision):
        key = "revision" if old.model == new.model else "model"
        if isinstance(new.weights, BakedWeights):
            # An image that is built here is refused with the other builds of its name.
            if old.image == new.image and not (model.enabled and new.image.is_built):
                reason = "the weights lie in the image, and the image is the same"
                yield Problem(
                    f"{path}.{key}", getattr(new, key), reason, "give `image` too, with the new weights in it"
                )
        elif _place(old.weights) == _place(new.weights):
            reason = "the old version reads the same directory, which holds one revision"
            fix = "give `weights` too, with a directory of its own"
            yield Problem(f"{path}.{key}", getattr(new, key), reason, fix)
    same_tag = (old.image.repository, old.image.tag) == (new.image.repository, new.image.tag)
    if same_tag and None not in {old.image.digest, new.image.digest} and old.image != new.image:
        reason = f"the old version runs {old.image.repository}:{old.image.tag} with another digest: a tag never changes"
        yield Problem(f"{path}.image.tag", new.image.tag, reason, "push the new image under a tag of its own")
