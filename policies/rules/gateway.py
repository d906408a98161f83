"""What comes in from outside: with a token, counted, and from no page but those that are named."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, any_of, resource_rule, stack_rule
from .values import UNKNOWN, agree, among, at, elements, hidden, may, text

AREA: Final = "security"
KONG_PLUGINS: Final = "konghq.com/plugins"
_TOKENS: Final = frozenset({"jwt", "openid-connect", "key-auth"})
_LIMITS: Final = frozenset({"rate-limiting", "rate-limiting-advanced"})
_PLUGINS: Final = ("KongPlugin", "KongClusterPlugin")


def _has_tokens(policy: Resource) -> bool:
    providers = at(policy.props, "spec", "jwt", "providers")
    return hidden(providers) or bool(elements(providers))


def _has_limit(policy: Resource) -> bool:
    limit = at(policy.props, "spec", "rateLimit")
    return limit is UNKNOWN or any(
        at(limit, kind) is UNKNOWN or may(lambda _: True, limit, kind, "rules")
        for kind in ("global", "local")
    )


def _covers(policy: Resource, route: Resource) -> bool:
    """Tell whether a policy of Envoy Gateway's is about a route: about itself, or about a Gateway that it belongs to."""
    if not agree(policy.namespace, route.namespace):
        return False
    single = at(policy.props, "spec", "targetRef")
    refs = at(policy.props, "spec", "targetRefs") if single is None else [single]
    return may(lambda target: _leads(target, route), refs)


def _leads(target: object, route: Resource) -> bool:
    kind, name = at(target, "kind"), at(target, "name")
    to_gateway = agree(kind, "Gateway") and may(
        lambda parent: agree(at(parent, "name"), name), route.props, "spec", "parentRefs"
    )
    return to_gateway or (agree(kind, "HTTPRoute") and agree(name, route.called))


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
    kind = at(plugin.props, "plugin")
    return kind is UNKNOWN or among(kind, wanted)


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
    fix="give its Gateway, or the route, a SecurityPolicy with jwt (`gateway.authentication`), or Kong's plugin jwt",
    levels={"dev": "advisory"},
)
def tokens(stack: Stack, _: Config) -> Iterator[Found]:
    """A route of its own policy replaces that of the Gateway, which settings can not see where it is written by hand."""
    for route in _open_routes(stack):
        own = _policies(stack, "SecurityPolicy", route)
        if not (any(map(_has_tokens, own)) or _has_plugin(stack, route, _TOKENS)):
            yield about(route, f"the route {route.label} lets anybody in")


def _policies(stack: Stack, kind: str, route: Resource) -> list[Resource]:
    return [each for each in stack.of(kind) if _covers(each, route)]


@stack_rule(
    "routes-have-a-rate-limit",
    AREA,
    says="Every route to a model is limited in requests",
    fix="give its Gateway, or the route, a BackendTrafficPolicy with rateLimit (`gateway.limits`), or Kong's plugin rate-limiting",
    levels={"dev": "advisory"},
)
def limits(stack: Stack, _: Config) -> Iterator[Found]:
    """Kong counts at the consumer: any limit of its own there counts for its routes."""
    consumers = bool(stack.of("KongConsumer")) and any(_is_one(each, _LIMITS) for each in stack.of(*_PLUGINS))
    for route in _open_routes(stack):
        own = _policies(stack, "BackendTrafficPolicy", route)
        if not (any(map(_has_limit, own)) or consumers or _has_plugin(stack, route, _LIMITS)):
            yield about(route, f"the route {route.label} takes as many requests as come")


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
    return elements(props, "config", "origins") if at(props, "plugin") == "cors" else []


RULES: Final = (tokens, limits, origins)
