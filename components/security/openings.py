"""What is let through: one row a connection that a stack needs, each from the setting that needs it.

Network policies and the mesh's policies are both made of these rows, so that neither lets through what the other does
not know of. Whatever has no row is closed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components.addons.otel_pipelines import GRPC_PORT
from components.addons.rate_limiter import LIMITER_PORT
from components.api_gateway import GATEWAY_PORT
from components.engine_args import API_PORT, METRICS_PORT
from components.mesh import PROBES
from components.security.destinations import (
    ANYWHERE,
    HTTPS,
    INTERNET,
    POD_IDENTITY,
    POD_IDENTITY_PORT,
    destination,
)
from components.security.parties import (
    DNS,
    Addresses,
    Party,
    Port,
    Side,
    collector,
    envoy_controller,
    envoy_proxies,
    fill_party,
    kong_proxies,
    model_party,
    prometheus,
    rate_limiter,
)
from settings.cluster import EksCluster
from settings.content_filter import RuleFilter, StackGuard
from settings.edge import CloudFrontEdge
from settings.gateway import JwtAuthentication, RemoteKeys
from settings.models import Model
from settings.security import NamespaceCaller
from settings.sources import BucketSource
from settings.stack import Settings
from settings.subnets import plan_subnets
from settings.versions import versions_of

DNS_PORTS: Final = (Port(number=53, protocol="UDP"), Port(number=53))
API: Final = Port(number=API_PORT)
COUNTING: Final = Port(number=LIMITER_PORT)
METRICS: Final = Port(number=METRICS_PORT)
SPANS: Final = Port(number=GRPC_PORT)
GATEWAY_API: Final = Port(number=GATEWAY_PORT)
# Envoy Gateway 1.9: internal/xds/bootstrap and internal/cmd/envoy.
XDS: Final = Port(number=18000)
ENVOY_METRICS: Final = Port(number=19001)
ENVOY_PROBES: Final = (Port(number=19002), Port(number=19003))


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One connection. ports: none is every port."""

    source: Side
    target: Side
    ports: tuple[Port, ...]


@dataclass(frozen=True, kw_only=True)
class Openings:
    """All of a stack. guarded: the parties that rules are made for; for whom else a row names, somebody else makes them."""

    guarded: tuple[Party, ...]
    rows: tuple[Opening, ...]


def openings(settings: Settings) -> Openings:
    """Return what a stack needs."""
    models = {model.name: model_party(settings, model) for model in settings.enabled_models}
    fills = {model.name: fill_party(settings, model) for model in settings.deployed_models if model.fill}
    gateways = _envoys(settings)
    guarded = (*gateways, *models.values(), *fills.values())
    rows = [
        *_calls(settings, models),
        *(row for gateway in gateways for row in _gateway(settings, gateway)),
        *_metrics(settings, gateways, models),
        *_traces(settings, gateways, models),
        *_guards(settings, models),
        *_weights(settings, models, fills),
        *_probes(settings, gateways, models),
    ]
    # Versions of a model mostly need the same.
    once = [row for index, row in enumerate(rows) if row not in rows[:index]]
    return Openings(guarded=guarded, rows=(*once, *_names(guarded, once)))


def _envoys(settings: Settings) -> list[Party]:
    """Return Envoy's proxies, which run beside the models. Those of Kong run in its own namespace."""
    return [envoy_proxies(settings)] if settings.routes and settings.gateway.kind == "envoy" else []


def _calls(settings: Settings, models: Mapping[str, Party]) -> Iterator[Opening]:
    """Who calls models: the gateway, or where there is none the callers that the stack names."""
    sources: list[Side] = [*_envoys(settings)]
    if settings.asked.choice("kong") != "off":
        sources.append(kong_proxies(settings))
    for source in sources or _callers(settings):
        for model in models.values():
            yield Opening(source=source, target=model, ports=(API,))


def _callers(settings: Settings) -> list[Side]:
    rules = settings.security.rules
    return [
        Party(name=caller.name, namespace=caller.name, labels={}, meshed=None)
        if isinstance(caller, NamespaceCaller)
        else Addresses(blocks=(caller.block,))
        for caller in (rules.callers if rules else ())
    ]


def _gateway(settings: Settings, gateway: Party) -> Iterator[Opening]:
    """Who calls the gateway, and whom it asks."""
    sources = _callers(settings)
    if isinstance(settings.edge, CloudFrontEdge) and isinstance(settings.cluster, EksCluster):
        # The load balancer has addresses of the nodes' subnets, as pods have: a policy can not tell them apart.
        subnets = plan_subnets(settings.cluster.network.cidr, settings.cluster.zones)
        sources.append(Addresses(blocks=tuple(subnet.nodes for subnet in subnets)))
    for source in sources:
        yield Opening(source=source, target=gateway, ports=(GATEWAY_API,))
    yield Opening(source=gateway, target=envoy_controller(), ports=(XDS,))
    if settings.request_limits is not None:
        yield Opening(source=gateway, target=rate_limiter(), ports=(COUNTING,))
    authentication = settings.envoy.authentication
    if isinstance(authentication, JwtAuthentication) and isinstance(authentication.keys, RemoteKeys):
        target, ports = destination(authentication.keys.uri)
        yield Opening(source=gateway, target=target, ports=ports)


def _metrics(settings: Settings, gateways: list[Party], models: Mapping[str, Party]) -> Iterator[Opening]:
    if settings.asked.choice("prometheus") == "off":
        return
    for model in models.values():
        yield Opening(source=prometheus(settings), target=model, ports=(METRICS,))
    for gateway in gateways:
        yield Opening(source=prometheus(settings), target=gateway, ports=(ENVOY_METRICS,))


def _traces(settings: Settings, gateways: list[Party], models: Mapping[str, Party]) -> Iterator[Opening]:
    if settings.tracing is None:
        return
    for party in (*gateways, *models.values()):
        yield Opening(source=party, target=collector(settings), ports=(SPANS,))


def _guards(settings: Settings, models: Mapping[str, Party]) -> Iterator[Opening]:
    """Models ask the guard of their content filter about each request."""
    for model in settings.enabled_models:
        rules = settings.filter_of(model)
        guard = rules.guard if isinstance(rules, RuleFilter) else None
        if guard is None:
            continue
        target, ports = (
            (models[guard.model], (API,)) if isinstance(guard, StackGuard) else destination(guard.url)
        )
        yield Opening(source=models[model.name], target=target, ports=ports)


def _weights(
    settings: Settings, models: Mapping[str, Party], fills: Mapping[str, Party]
) -> Iterator[Opening]:
    """Who reads weights over the network. A claim is mounted by the node, and a baked model reads nothing."""
    for model in settings.enabled_models:
        for version in versions_of(model):
            if version.fill:
                yield from _from_source(settings, version, fills[version.name])
            elif version.read_from_s3:
                yield from _from_bucket(settings, models[model.name])


def _from_source(settings: Settings, model: Model, source: Party) -> Iterator[Opening]:
    if isinstance(model.source, BucketSource):
        yield from _from_bucket(settings, source)
    elif model.source.endpoint:
        target, ports = destination(model.source.endpoint)
        yield Opening(source=source, target=target, ports=ports)
    else:
        # Hubs, and the stores behind them to which they lead on.
        yield Opening(source=source, target=INTERNET, ports=(HTTPS,))


def _from_bucket(settings: Settings, source: Party) -> Iterator[Opening]:
    store = settings.storage.store
    if store is not None:
        target, ports = destination(store.endpoint)
        yield Opening(source=source, target=target, ports=ports)
    elif isinstance(settings.cluster, EksCluster):
        # Public addresses, which the VPC's gateway endpoint leads to S3 itself.
        yield Opening(source=source, target=INTERNET, ports=(HTTPS,))
        yield Opening(source=source, target=POD_IDENTITY, ports=(POD_IDENTITY_PORT,))
    else:
        yield Opening(source=source, target=ANYWHERE, ports=(HTTPS,))


def _probes(settings: Settings, gateways: list[Party], models: Mapping[str, Party]) -> Iterator[Opening]:
    """Kubelets ask pods of the mesh from an address of their own; elsewhere a pod's own node always reaches it."""
    if not settings.meshed:
        return
    kubelets = Addresses(blocks=(PROBES,))
    for gateway in gateways:
        yield Opening(source=kubelets, target=gateway, ports=ENVOY_PROBES)
    for model in models.values():
        yield Opening(source=kubelets, target=model, ports=(API,))


def _names(guarded: tuple[Party, ...], rows: list[Opening]) -> Iterator[Opening]:
    """Who calls anybody asks for its address first."""
    for party in guarded:
        if any(row.source == party for row in rows):
            yield Opening(source=party, target=DNS, ports=DNS_PORTS)
