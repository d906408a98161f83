"""The gateway: nobody comes in unknown where it matters, and what names a consumer, a key or a model names one."""

from collections.abc import Iterable

from settings.checks.naming import listed, repeated
from settings.draft import Draft
from settings.edge import CloudFrontEdge
from settings.gateway import Gateway, JwtAuthentication, LocalKeys, NoAuthentication
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the gateway."""
    gateway = draft.envoy
    if gateway is None:
        return []
    problems = [*_open(gateway, draft), *_consumers(gateway, draft)]
    problems += repeated(gateway.origins, "gateway.origins", "the origin")
    if isinstance(gateway.authentication, JwtAuthentication):
        problems += _keys(gateway.authentication)
    return problems


def _open(gateway: Gateway, draft: Draft) -> Iterable[Problem]:
    if not isinstance(gateway.authentication, NoAuthentication):
        return
    if draft.asked is None or draft.asked.choice("envoy_gateway") == "off":
        return
    fix = "write `gateway: {authentication: {kind: jwt, issuer: ..., audiences: [...], keys: {...}}}`"
    if isinstance(draft.edge, CloudFrontEdge):
        reason = "the internet reaches the gateway, and everybody could call every model"
        yield Problem("gateway.authentication.kind", "off", reason, f"{fix}, or `edge: {{kind: off}}`")
    elif draft.environment in {"staging", "prod"}:
        reason = f"in {draft.environment} whoever is in the network could call every model, and nobody could tell who"
        yield Problem("gateway.authentication.kind", "off", reason, fix)


def _consumers(gateway: Gateway, draft: Draft) -> Iterable[Problem]:
    if gateway.consumers and isinstance(gateway.authentication, NoAuthentication):
        yield Problem(
            "gateway.consumers",
            listed(consumer.name for consumer in gateway.consumers),
            "without tokens nobody can be told from anybody",
            "add `authentication: {kind: jwt, ...}`, or remove the consumers",
        )
    yield from repeated(
        [consumer.name for consumer in gateway.consumers], "gateway.consumers", "the consumer"
    )
    known = [model.name for model in draft.models]
    for consumer in gateway.consumers:
        path = f"gateway.consumers[{consumer.name}].models"
        yield from repeated(consumer.models, path, "the model")
        for name in consumer.models:
            if name not in known:
                yield Problem(path, name, "the stack has no such model", f"use one of: {listed(known)}")


def _keys(authentication: JwtAuthentication) -> Iterable[Problem]:
    if isinstance(authentication.keys, LocalKeys):
        names = [key.kid for key in authentication.keys.keys]
        yield from repeated(names, "gateway.authentication.keys.keys", "the key id")
