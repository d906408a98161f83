"""Who talks: pods by namespace and labels, and addresses. What is known of each stands with its owner; here it is put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from components.addons.kong import NAME as KONG
from components.addons.otel_traces import GATEWAY as OTEL_GATEWAY
from components.addons.prometheus import PROMETHEUS_ACCOUNT
from components.addons.rate_limiter import LIMITER_LABELS
from components.api_gateway import GATEWAY
from components.model_names import fill_account, fill_selector, model_selector
from components.node_agents import CLUSTER_NAMESPACE
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.models import Model
from settings.stack import Settings
from settings.versions import versions_of

Protocol = Literal["TCP", "UDP"]


@dataclass(frozen=True, kw_only=True)
class Port:
    """Where a pod listens, whatever its Service says."""

    number: int
    protocol: Protocol = "TCP"


@dataclass(frozen=True, kw_only=True)
class Party:
    """Pods. name: of the rules about them. labels: none is every pod of the namespace.

    accounts: service accounts, by which the mesh knows them; none: all accounts of the namespace.
    meshed: None is unknown, and they may call in both ways.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    accounts: tuple[str, ...] = ()
    meshed: bool | None = False


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Whoever has an address of `blocks`, and of none of `without`."""

    blocks: tuple[str, ...]
    without: tuple[str, ...] = ()


Side = Party | Addresses

DNS: Final = Party(name="dns", namespace=CLUSTER_NAMESPACE, labels={"k8s-app": "kube-dns"})


def model_party(settings: Settings, model: Model) -> Party:
    """Return the replicas of a model, of all its versions: rules about it stay the same while a candidate comes and goes."""
    return Party(
        name=model.name,
        namespace=settings.namespace,
        labels=model_selector(model),
        accounts=tuple(version.name for version in versions_of(model)),
        meshed=settings.meshed,
    )


def fill_party(settings: Settings, model: Model) -> Party:
    """Return the pods of the Job that brings a model's weights to a claim."""
    return Party(
        name=fill_account(model),
        namespace=settings.namespace,
        labels=fill_selector(model),
        accounts=(fill_account(model),),
        meshed=settings.meshed,
    )


def envoy_proxies(settings: Settings) -> Party:
    """Return the gateway's proxies, by the labels that Envoy Gateway (1.9) gives them."""
    labels = {
        "app.kubernetes.io/component": "proxy",
        "app.kubernetes.io/managed-by": "envoy-gateway",
        "gateway.envoyproxy.io/owning-gateway-name": GATEWAY,
    }
    return Party(
        name=GATEWAY,
        namespace=settings.namespace,
        labels=labels,
        accounts=(GATEWAY,),
        meshed=settings.meshed,
    )


def envoy_controller() -> Party:
    """Return the controller, which tells the proxies their configuration."""
    return Party(
        name="envoy-gateway",
        namespace=ADDON_NAMESPACES["envoy-gateway"],
        labels={"control-plane": "envoy-gateway"},
    )


def rate_limiter() -> Party:
    """Return what counts requests for the gateway; Envoy Gateway runs it beside itself."""
    return Party(name="rate-limiter", namespace=ADDON_NAMESPACES["envoy-gateway"], labels=LIMITER_LABELS)


def collector(settings: Settings) -> Party:
    """Return the collector's gateway, which takes spans."""
    return Party(
        name=OTEL_GATEWAY,
        namespace=ADDON_NAMESPACES["otel-gateway"],
        labels={"app.kubernetes.io/instance": OTEL_GATEWAY},
        accounts=(OTEL_GATEWAY,),
        meshed=settings.meshed,
    )


def kong_proxies(settings: Settings) -> Party:
    """Return Kong's proxies, by the labels that its chart gives them."""
    return Party(
        name=KONG,
        namespace=ADDON_NAMESPACES["kong"],
        labels={"app.kubernetes.io/name": KONG, "app.kubernetes.io/component": "app"},
        accounts=(KONG,),
        meshed=settings.meshed,
    )


def prometheus(settings: Settings) -> Party:
    """Return Prometheus: its operator gives the label; where and under which account, the program's chart or the stack says."""
    other = settings.security.prometheus
    return Party(
        name="prometheus",
        namespace=other.namespace if other else ADDON_NAMESPACES["prometheus"],
        labels={"app.kubernetes.io/name": "prometheus"},
        accounts=(other.account if other else PROMETHEUS_ACCOUNT,),
        meshed=settings.meshed,
    )
