"""Who may talk to whom: the mesh and the network, read from the objects alone."""

from collections.abc import Iterator
from typing import Final

from .model import Config, Found, Resource, Stack, about, any_of, resource_rule, selects, stack_rule
from .values import UNKNOWN, agree, at, elements, entries, hidden, is_, may, text
from .workloads import POD_KINDS, pods_of

AREA: Final = "security"
MESHED: Final = "istio.io/dataplane-mode"
ROOT: Final = "istio-system"
DIRECTIONS: Final = ("Ingress", "Egress")
_IDENTITIES: Final = ("principals", "serviceAccounts")


@resource_rule(
    "mutual-tls-is-strict",
    AREA,
    says="No PeerAuthentication lets plain connections in, but to single ports of pods that it names",
    fix="set mtls.mode to STRICT; for a port that something outside of the mesh must reach, use portLevelMtls and a selector",
    types=any_of("PeerAuthentication"),
)
def strict(resource: Resource, _: Config) -> Iterator[str]:
    """PERMISSIVE takes whatever comes."""
    spec = at(resource.props, "spec")
    if spec is UNKNOWN:
        return
    mode = at(spec, "mtls", "mode")
    if not is_(mode, "STRICT"):
        yield f"PeerAuthentication {resource.label} has the mode {text(mode) or 'UNSET'}"
    selector = at(spec, "selector")
    for port, setting in entries(spec, "portLevelMtls").items():
        own = at(setting, "mode")
        if own == "DISABLE" or (own == "PERMISSIVE" and selector is None):
            yield f"PeerAuthentication {resource.label} opens port {port} ({own})"


@stack_rule(
    "models-are-in-the-mesh",
    AREA,
    says="Where there is Istio, namespaces of models are in the mesh, under mutual TLS",
    fix=f"label the namespace {MESHED}: ambient, take the label none from its pods, "
    f"and give it, or {ROOT}, a PeerAuthentication in mode STRICT",
    levels={"dev": "advisory"},
)
def meshed(stack: Stack, config: Config) -> Iterator[Found]:
    """A pod outside of the mesh answers anybody, in plain text."""
    if not (stack.charts("istiod") or config.has("istio")):
        return
    closed = [
        each.namespace
        for each in stack.of("PeerAuthentication")
        if at(each.props, "spec", "selector") in (None, UNKNOWN)
        and is_(at(each.props, "spec", "mtls", "mode"), "STRICT")
    ]
    for space in _model_namespaces(stack):
        if not is_(at(space.labels, MESHED), "ambient"):
            yield about(space, f"the namespace {space.label} has models and is not in the mesh")
        elif not any(agree(each, where) for each in closed for where in (space.called, ROOT)):
            yield about(space, f"in the namespace {space.label} plain connections are taken")
    for model in stack.models:
        for pod in pods_of(model):
            if at(pod.labels, MESHED) == "none":
                yield about(
                    model, f"the pods of the model {pod.owner} are taken out of the mesh by their label"
                )


def _model_namespaces(stack: Stack) -> list[Resource]:
    used = [text(each.namespace) for each in stack.models]
    return [each for each in stack.of("Namespace") if each.label in used]


def _is_meshed(stack: Stack, namespace: object) -> bool:
    return any(
        each.called == namespace and at(each.labels, MESHED) == "ambient" for each in stack.of("Namespace")
    )


@stack_rule(
    "models-have-an-authorization-policy",
    AREA,
    says="In the mesh an AuthorizationPolicy says who reaches a model, and nobody else does",
    fix="add an AuthorizationPolicy (ALLOW) that selects its pods and names its callers, as vllm-access does",
)
def authorized(stack: Stack, _: Config) -> Iterator[Found]:
    """Where no policy finds a pod, every identity of the mesh reaches it."""
    for model in stack.models:
        if not _is_meshed(stack, model.namespace):
            continue
        policies = [
            each
            for each in stack.of("AuthorizationPolicy")
            if agree(each.namespace, model.namespace)
            and at(each.props, "spec", "action") in (None, "ALLOW", UNKNOWN)
        ]
        for pod in pods_of(model):
            if not any(selects(at(each.props, "spec", "selector"), pod.labels) for each in policies):
                yield about(model, f"no AuthorizationPolicy is about the model {pod.owner}")


@resource_rule(
    "authorization-names-its-callers",
    AREA,
    says="An AuthorizationPolicy that allows names identities, not everybody and no wildcard",
    fix="name principals in from.source of each rule, each in full",
    types=any_of("AuthorizationPolicy"),
)
def callers(resource: Resource, _: Config) -> Iterator[str]:
    """A rule without `from` lets every caller in."""
    spec = at(resource.props, "spec")
    if at(spec, "action") not in (None, "ALLOW"):
        return
    for index, rule in enumerate(elements(spec, "rules")):
        sources = [at(each, "source") for each in elements(rule, "from")]
        nobody = not sources and not hidden(rule, "from")
        if nobody or not all(map(_is_named, sources)):
            yield f"rule {index} of AuthorizationPolicy {resource.label} lets callers in that it does not name"
        elif any(
            "*" in text(name) for each in sources for key in _IDENTITIES for name in elements(each, key)
        ):
            yield f"rule {index} of AuthorizationPolicy {resource.label} names its callers by a wildcard"


def _is_named(source: object) -> bool:
    return source is UNKNOWN or any(may(lambda _: True, source, key) for key in _IDENTITIES)


@stack_rule(
    "pods-have-a-network-policy",
    AREA,
    says="Each pod of the program is found by network policies, in both directions",
    fix="add a NetworkPolicy that selects it, with policyTypes Ingress and Egress (`security.network: {kind: default-deny}`)",
    levels={"dev": "advisory"},
)
def walled(stack: Stack, _: Config) -> Iterator[Found]:
    """What no policy finds may talk to everybody. Pods of charts are the charts' own."""
    for each in stack.of(*POD_KINDS):
        for pod in pods_of(each):
            about_it = [
                at(policy.props, "spec")
                for policy in stack.of("NetworkPolicy")
                if agree(policy.namespace, pod.namespace)
                and selects(at(policy.props, "spec", "podSelector"), pod.labels)
            ]
            missing = [
                direction.lower()
                for direction in DIRECTIONS
                if not any(_rules(spec, direction) for spec in about_it)
            ]
            if missing:
                yield about(
                    each, f"no network policy limits {' and '.join(missing)} of {each.kind} {pod.owner}"
                )


def _rules(spec: object, direction: str) -> bool:
    """Tell whether a policy is about a direction. One that does not say is about what comes in, and about what goes out if it has rules."""
    types = at(spec, "policyTypes")
    if types is None:
        return direction == "Ingress" or at(spec, "egress") is not None
    return hidden(types) or direction in elements(types)


@resource_rule(
    "namespaces-have-a-pod-security-level",
    AREA,
    says="Each namespace says which level of pod security it enforces",
    fix="label it pod-security.kubernetes.io/enforce: restricted, baseline or, with a reason, privileged",
    types=any_of("Namespace"),
)
def levelled(resource: Resource, _: Config) -> Iterator[str]:
    """Without the label a namespace takes privileged pods."""
    if _lacks_level(resource):
        yield f"the namespace {resource.label} takes pods of any rights"


def _lacks_level(resource: Resource) -> bool:
    """Tell whether a namespace enforces no level."""
    labels = at(resource.props, "metadata", "labels")
    return labels is not UNKNOWN and at(labels, "pod-security.kubernetes.io/enforce") is None


RULES: Final = (strict, meshed, authorized, callers, walled, levelled)
