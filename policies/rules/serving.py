"""Serving: each model scales by one hand, survives a drained node, and ends without cutting an answer."""

import re
from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, resource_rule, selects, stack_rule
from .values import UNKNOWN, agree, among, at, elements, entries, hidden, may, number
from .workloads import is_core, is_model, pod_of, predictor

AREA: Final = "serving"
AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
SCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
ZONE: Final = "topology.kubernetes.io/zone"
DRAIN: Final = re.compile(r"--shutdown-timeout=(\d+)")
# What Kubernetes gives a pod that does not say.
GRACE_SECONDS: Final = 30.0
# Two zones are worth something from two replicas on.
SEVERAL: Final = 2


@stack_rule(
    "models-have-one-scaler",
    AREA,
    says="A model's replicas belong to exactly one scaler, which acts on its Deployment",
    fix="keep one HorizontalPodAutoscaler or ScaledObject for the Deployment NAME-predictor "
    f"(`autoscaling` in the settings), and the annotation {AUTOSCALER}: external; none of them with `none`",
)
def one_scaler(stack: Stack, _: Config) -> Iterator[Found]:
    """Two scalers undo each other's work. An InferenceService has no scale for one to act on."""
    targets = [(each, at(each.props, "spec", "scaleTargetRef")) for each in stack.of(*SCALERS)]
    for scaler, target in targets:
        if at(target, "kind") == "InferenceService":
            yield about(
                scaler, f"{scaler.kind} {scaler.label} acts on an InferenceService, which can not be scaled"
            )
    for model in stack.models:
        own = [
            scaler.label
            for scaler, target in targets
            if agree(scaler.namespace, model.namespace) and agree(at(target, "name"), predictor(model))
        ]
        declared = at(model.props, "metadata", "annotations", AUTOSCALER)
        if declared is UNKNOWN:
            continue
        if not among(declared, {"external", "none"}):
            yield about(model, f"the model {model.label} leaves its replicas to KServe's own scaler")
        elif declared == "none" and own:
            yield about(
                model,
                f"the model {model.label} has a fixed number of replicas, and the scaler {', '.join(own)}",
            )
        elif declared == "external" and len(own) != 1 and not _any_hidden(targets):
            yield about(model, f"the model {model.label} has {len(own)} scalers{_listed(own)}")


def _any_hidden(targets: list[tuple[Resource, Any]]) -> bool:
    return any(at(target, "name") is UNKNOWN for _, target in targets)


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


@stack_rule(
    "models-have-a-disruption-budget",
    AREA,
    says="A PodDisruptionBudget finds a model's pods and lets one of them go at a time",
    fix="add a PodDisruptionBudget with maxUnavailable: 1 whose selector finds the model's pods",
)
def budgeted(stack: Stack, _: Config) -> Iterator[Found]:
    """Without one a drained node takes every replica on it; with one that lets none go, no node can be drained."""
    for model in stack.models:
        labels = pod_of(model).labels
        found = [
            each
            for each in stack.of("PodDisruptionBudget")
            if agree(each.namespace, model.namespace) and selects(at(each.props, "spec", "selector"), labels)
        ]
        if not found:
            yield about(model, f"no PodDisruptionBudget finds the pods of {model.label}")
        for each in found:
            spec = at(each.props, "spec")
            if at(spec, "maxUnavailable") in (0, "0", "0%") or at(spec, "minAvailable") == "100%":
                yield about(
                    model, f"the PodDisruptionBudget {each.label} never lets a pod of {model.label} go"
                )


@resource_rule(
    "models-are-probed",
    AREA,
    says="A model has a startup, a readiness and a liveness probe",
    fix="add the probe, on /health of the engine's port",
    types=is_model,
)
def probed(resource: Resource, _: Config) -> Iterator[str]:
    """KServe adds none of its own to a container that a model brings."""
    engine = pod_of(resource).engine
    missing = [each for each in PROBES if engine is not UNKNOWN and not _is_set(at(engine, each))]
    if missing:
        yield f"the model {resource.label} has no {', no '.join(missing)}"


def _is_set(value: object) -> bool:
    return value is UNKNOWN or bool(entries(value))


@resource_rule(
    "models-drain-before-they-end",
    AREA,
    says="A model's pod leaves the endpoints, finishes what runs, and is killed no earlier",
    fix="set lifecycle.preStop, --shutdown-timeout, and a terminationGracePeriodSeconds longer than both (`lifecycle` in the settings)",
    types=is_model,
)
def drains(resource: Resource, _: Config) -> Iterator[str]:
    """Every update and every drained node would cut answers in the middle."""
    pod = pod_of(resource)
    if pod.engine is UNKNOWN or hidden(pod.engine, "args"):
        return
    hook = at(pod.engine, "lifecycle", "preStop")
    pause = number(at(hook, "sleep", "seconds"))
    timeouts = [int(match[1]) for each in pod.arguments if (match := DRAIN.fullmatch(each))]
    grace = at(pod.spec, "terminationGracePeriodSeconds")
    given = GRACE_SECONDS if grace is None else number(grace)
    if not _is_set(hook):
        yield f"the model {resource.label} has no preStop: requests reach it after it began to end"
    if not timeouts:
        yield f"the model {resource.label} has no --shutdown-timeout: running answers are cut"
    elif given is not None and given < timeouts[-1] + (pause or 0):
        yield (
            f"the model {resource.label} drains for {timeouts[-1]} s after {pause or 0:g} s, "
            f"and is killed after {given:g} s"
        )


@resource_rule(
    "core-models-spread-over-zones",
    AREA,
    says="Replicas of a model that must always answer spread over zones",
    fix=f"add a topologySpreadConstraint on {ZONE} (`spread: {{kind: zones}}`), or give a reason in `policies.exempt`",
    types=is_model,
    levels={"dev": "advisory"},
)
def spread(resource: Resource, _: Config) -> Iterator[str]:
    """A zone that is gone takes what stands in it alone."""
    spec = pod_of(resource).spec
    if not is_core(resource) or spec is UNKNOWN:
        return
    over_zones = may(lambda each: agree(at(each, "topologyKey"), ZONE), spec, "topologySpreadConstraints")
    if not over_zones:
        yield f"the replicas of {resource.label} may all stand in one zone"


@stack_rule(
    "routes-can-shift-traffic",
    AREA,
    says="Each model has a route with weights, so that a new version can get a share of its traffic",
    fix="add an HTTPRoute to its Service with a weight on each backend (the program makes one where there is a gateway)",
    levels={"dev": "advisory"},
)
def weighted(stack: Stack, config: Config) -> Iterator[Found]:
    """A route without weights, or none, means all or nothing."""
    routes = stack.of("HTTPRoute")
    if not (stack.of("Gateway") or config.public) or any(map(_is_hidden, routes)):
        return
    backends = [
        (_namespace_of(each, route), at(each, "name"), at(each, "weight"))
        for route in routes
        for rule in elements(route.props, "spec", "rules")
        for each in elements(rule, "backendRefs")
    ]
    for model in stack.models:
        weights = [
            weight
            for namespace, name, weight in backends
            if agree(namespace, model.namespace) and agree(name, predictor(model))
        ]
        if _in_the_shade(model, stack):
            continue
        if not weights:
            yield about(model, f"no route leads to the model {model.label}")
        elif all(weight is None for weight in weights):
            yield about(model, f"a route to the model {model.label} has no weight")


def _namespace_of(backend: object, route: Resource) -> Any:  # noqa: ANN401 - a name that may not be known yet
    """Return where a backend is: in its route's namespace, unless it names another."""
    named = at(backend, "namespace")
    return route.namespace if named is None else named


def _is_hidden(route: Resource) -> bool:
    rules = at(route.props, "spec", "rules")
    return hidden(rules) or any(hidden(rule, "backendRefs") for rule in elements(rules))


def _in_the_shade(model: Resource, stack: Stack) -> bool:
    """Tell whether a model is a candidate that nobody is sent to, beside its stable version."""
    track = at(model.labels, "vllm-platform.io/track")
    return track not in (None, "stable", UNKNOWN) and len(stack.models) >= SEVERAL


RULES: Final = (one_scaler, budgeted, probed, drains, spread, weighted)
