"""What comes in from outside: with a token, counted, and from no page but those that are named."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, any_of, resource_rule, stack_rule
from .values import UNKNOWN, agree, among, at, elements, entries, hidden, may, text
from .workloads import predictor

AREA: Final = "security"
KONG_PLUGINS: Final = "konghq.com/plugins"
_TOKENS: Final = frozenset({"jwt", "openid-connect", "key-auth"})
_LIMITS: Final = frozenset({"rate-limiting", "rate-limiting-advanced"})
_PLUGINS: Final = ("KongPlugin", "KongClusterPlugin")


def _ask_for_tokens(policies: list[Resource]) -> bool:
    """Tell whether policies that hold together ask for a token, and none of them lets requests without one pass."""
    given = [at(each.props, "spec", "jwt") for each in policies]
    asked = any(hidden(each, "providers") or bool(elements(each, "providers")) for each in given)
    return asked and not any(at(each, "optional") is True for each in given)


def _has_limit(policy: Resource) -> bool:
    limit = at(policy.props, "spec", "rateLimit")
    return limit is UNKNOWN or any(
        at(limit, kind) is UNKNOWN or may(lambda _: True, limit, kind, "rules")
        for kind in ("global", "local")
    )


def _covers(policy: Resource, route: Resource) -> bool:
    """Tell whether a policy of Envoy Gateway's is about a route: about itself, or about a Gateway that it belongs to."""
    return agree(policy.namespace, route.namespace) and may(
        lambda target: _leads(target, route) or _names(target, route), _targets(policy)
    )


def _targets(policy: Resource) -> Any:  # noqa: ANN401 - a list, or UNKNOWN
    single = at(policy.props, "spec", "targetRef")
    return at(policy.props, "spec", "targetRefs") if single is None else [single]


def _leads(target: object, route: Resource) -> bool:
    """Tell whether a target is a Gateway of a route, or may be."""
    return agree(at(target, "kind"), "Gateway") and may(
        lambda parent: agree(at(parent, "name"), at(target, "name")), route.props, "spec", "parentRefs"
    )


def _names(target: object, route: Resource) -> bool:
    """Tell whether a target is a route itself, or may be."""
    return agree(at(target, "kind"), "HTTPRoute") and agree(at(target, "name"), route.called)


def _is_own(policy: Resource, route: Resource) -> bool:
    """Tell whether a policy is about a route itself for certain, and takes the place of its Gateway's."""
    named = [(at(each, "kind"), text(at(each, "name"))) for each in elements(_targets(policy))]
    return ("HTTPRoute", route.called) in named and at(policy.props, "spec", "mergeType") is None


def _deciding(stack: Stack, kind: str, route: Resource) -> tuple[list[Resource], str]:
    """Return the policies that hold for a route, and a word on it where they are not its Gateway's.

    One of a route's own replaces those of its Gateway, unless it says how the two are merged.
    """
    found = [each for each in stack.of(kind) if _covers(each, route)]
    if not any(_is_own(each, route) for each in found):
        return found, ""
    own = [each for each in found if may(lambda target: _names(target, route), _targets(each))]
    return own, f" (its own {kind} replaces the Gateway's)"


def _has_plugin(stack: Stack, route: Resource, wanted: frozenset[str]) -> bool:
    """Tell whether a route has one of some plugins of Kong's: by its own annotation, or because all routes have it."""
    named = at(route.props, "metadata", "annotations", KONG_PLUGINS)
    mine = {each.strip() for each in text(named).split(",")}
    return any(
        _is_one(each, wanted)
        and (UNKNOWN in (named, each.called) or each.label in mine or at(each.labels, "global") == "true")
        for each in stack.of(*_PLUGINS)
    )


def _is_one(plugin: Resource, wanted: frozenset[str]) -> bool:
    """Tell whether a plugin is one of some that does its work. With `anonymous` one for tokens lets everybody in."""
    kind = at(plugin.props, "plugin")
    if at(plugin.props, "disabled") is True:
        return False
    guest = wanted == _TOKENS and bool(text(at(plugin.props, "config", "anonymous")))
    return (kind is UNKNOWN or among(kind, wanted)) and not guest


def _open_routes(stack: Stack) -> list[Resource]:
    """Return routes that lead to something; those that only answer themselves give nothing away."""
    return [
        each
        for each in stack.of("HTTPRoute")
        if any(elements(rule, "backendRefs") for rule in elements(each.props, "spec", "rules"))
    ]


@stack_rule(
    "routes-ask-for-a-token",
    AREA,
    says="Every route to a model asks for a token",
    fix="give its Gateway, or the route, a SecurityPolicy with jwt (`gateway.authentication`), or Kong's plugin jwt; "
    "neither optional nor anonymous, and with a mergeType where the route has a policy beside its Gateway's",
    levels={"dev": "advisory"},
)
def tokens(stack: Stack, _: Config) -> Iterator[Found]:
    """A route's own policy replaces that of the Gateway, which settings can not see where it is written by hand."""
    for route in _open_routes(stack):
        deciding, why = _deciding(stack, "SecurityPolicy", route)
        if not (_ask_for_tokens(deciding) or _has_plugin(stack, route, _TOKENS)):
            yield about(route, f"the route {route.label} lets anybody in{why}")
    for entry in stack.of("Ingress"):
        if not _has_plugin(stack, entry, _TOKENS):
            yield from (
                about(entry, f"the Ingress {entry.label} leads to the model {model.label} past the gateway")
                for model in stack.models
                if UNKNOWN != entry.namespace == model.namespace and _services(model) & _backends(entry)
            )


def _services(model: Resource) -> set[str]:
    """Return names of a model's Services that KServe makes, as far as they are known."""
    return {text(model.called), text(predictor(model)), f"{text(model.called)}-transformer"} - {""}


def _backends(entry: Resource) -> set[str]:
    """Return names of the Services that an Ingress leads to."""
    spec = entries(entry.props, "spec")
    paths = [path for rule in elements(spec, "rules") for path in elements(rule, "http", "paths")]
    backends = [at(spec, "defaultBackend"), *(at(path, "backend") for path in paths)]
    return {text(at(each, "service", "name")) for each in backends}


@stack_rule(
    "routes-have-a-rate-limit",
    AREA,
    says="Every route to a model is limited in requests",
    fix="give its Gateway, or the route, a BackendTrafficPolicy with rateLimit (`gateway.limits`), or Kong's plugin rate-limiting; "
    "with a mergeType where the route has a policy beside its Gateway's",
    levels={"dev": "advisory"},
)
def limits(stack: Stack, _: Config) -> Iterator[Found]:
    """Kong counts at the consumer: any limit of its own there counts for its routes."""
    consumers = bool(stack.of("KongConsumer")) and any(_is_one(each, _LIMITS) for each in stack.of(*_PLUGINS))
    for route in _open_routes(stack):
        deciding, why = _deciding(stack, "BackendTrafficPolicy", route)
        if not (any(map(_has_limit, deciding)) or consumers or _has_plugin(stack, route, _LIMITS)):
            yield about(route, f"the route {route.label} takes as many requests as come{why}")


@resource_rule(
    "no-page-of-anybody-may-call",
    AREA,
    says="Pages of the web that may call are named, without a wildcard",
    fix="name each origin in full (`gateway.origins`)",
    types=any_of("SecurityPolicy", "HTTPRoute", "KongPlugin", "KongClusterPlugin"),
    levels={"dev": "advisory", "staging": "advisory"},
)
def origins(resource: Resource, _: Config) -> Iterator[str]:
    """With a wildcard any page that a user opens may call models in the user's name."""
    for origin in _origins(resource.kind, resource.props):
        if "*" in text(origin):
            yield f"{resource.kind} {resource.label} lets pages of {origin} call"


def _origins(kind: str, props: Mapping[str, Any]) -> list[Any]:
    if kind == "SecurityPolicy":
        return elements(props, "spec", "cors", "allowOrigins")
    if kind == "HTTPRoute":
        return [
            origin
            for rule in elements(props, "spec", "rules")
            for each in elements(rule, "filters")
            for origin in elements(each, "cors", "allowOrigins")
        ]
    if at(props, "plugin") != "cors" or at(props, "disabled") is True:
        return []
    named = at(props, "config", "origins")
    # Kong answers everybody where none are named; what a Secret adds to the configuration is not seen.
    left_out = not (named or entries(props, "configFrom") or elements(props, "configPatches"))
    return ["*"] if left_out else elements(named)


RULES: Final = (tokens, limits, origins)
