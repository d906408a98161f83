"""Kong: the gateway where the stack says so, with consumers, models and counters that are there."""

from collections.abc import Iterable

from settings.checks.naming import listed, repeated
from settings.cluster import RehearsalCluster
from settings.draft import Draft
from settings.edge import CloudFrontEdge
from settings.kong import KongGateway, LocalCounters
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the problems of a gateway of kind kong."""
    gateway = draft.gateway
    if not isinstance(gateway, KongGateway):
        return []
    problems = [*_there(draft), *_consumers(gateway, draft), *_counters(gateway, draft)]
    return [*problems, *repeated(gateway.origins, "gateway.origins", "the origin")]


def _there(draft: Draft) -> Iterable[Problem]:
    asked = draft.asked
    if asked is None:
        return
    if asked.choice("kong") == "off":
        reason = "addons.kong is off, and nothing would read the routes"
        yield Problem(
            "gateway.kind", "kong", reason, "write addons.kong: managed, or `gateway: {kind: envoy}`"
        )
    elif asked.choice("kong") == "existing" and asked.choice("gateway_api") == "off":
        reason = "routes to the models are of the Gateway API's kinds, and addons.gateway_api is off"
        yield Problem("gateway.kind", "kong", reason, "write addons.gateway_api: existing")
    if isinstance(draft.edge, CloudFrontEdge):
        yield Problem(
            "gateway.kind",
            "kong",
            "the edge's load balancer leads to the proxies in the models' namespace, and Kong's are in its own",
            "take `gateway: {kind: envoy}`, or write `edge: {kind: off}`",
        )


def _consumers(gateway: KongGateway, draft: Draft) -> Iterable[Problem]:
    yield from repeated([one.name for one in gateway.consumers], "gateway.consumers", "the consumer")
    known = [model.name for model in draft.models]
    for consumer in gateway.consumers:
        path = f"gateway.consumers[{consumer.name}].models"
        yield from repeated(consumer.models, path, "the model")
        for name in consumer.models:
            if name not in known:
                yield Problem(path, name, "the stack has no such model", f"use one of: {listed(known)}")


def _counters(gateway: KongGateway, draft: Draft) -> Iterable[Problem]:
    if draft.environment in {None, "dev"} or isinstance(draft.cluster, RehearsalCluster):
        return
    if isinstance(gateway.limits.counters, LocalCounters):
        reason = f"in {draft.environment} there are several proxies, and each would let all of it through"
        fix = "write `counters: {kind: redis, address: ...}`"
        yield Problem("gateway.limits.counters.kind", "local", reason, fix)
