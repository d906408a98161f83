"""Envoy Gateway: turns Gateways and HTTPRoutes into Envoy proxies.

Owns: its own kinds (a unit of its own), the controller, the class that Gateways name, and what a proxy of this
class is. Does not own: the kinds of the Gateway API (`gateway_api`), and any Gateway, route or policy.

Every kind that the controller asks for at its start is optional since 1.9, and all of them are in the standard
channel (internal/provider/kubernetes/controller.go, watchResources), so nothing here needs the experimental one.

A proxy runs in the namespace of its Gateway and under its Gateway's name: that name is the account that the mesh
knows it by, and that models admit. There, no inbound traffic is the mesh's: the load balancer speaks plain HTTP.

The chart has neither ServiceMonitor nor PodMonitor: who watches the controller and the proxies makes them.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.pattern import Addon, AddonArgs
from components.addons.rate_limiter import (
    LIMITER_LABELS,
    RateLimitStore,
    RateLimitStoreArgs,
    limiter_deployment,
    limiter_values,
    managed_image,
)
from components.charts import ENVOY_GATEWAY, GATEWAY_CRDS
from components.gateway_log import access_log
from components.gateway_spans import tracing
from components.mesh import PLAIN_INBOUND
from settings.limits import RequestLimits

GATEWAY_CLASS: Final = "envoy"
PROXY: Final = "api-gateway"
"""Of the EnvoyProxy that describes the proxies of the class."""
CONTROLLER: Final = "gateway.envoyproxy.io/gatewayclass-controller"
OWN_API: Final = "gateway.envoyproxy.io/v1alpha1"
CLASS_API: Final = "gateway.networking.k8s.io/v1"
DRAIN_SECONDS: Final = 300
"""How long a proxy that must go waits for running answers: 8192 tokens at 30 a second take 273 s."""
_ZONE: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, kw_only=True)
class EnvoyGatewayDefinitionsArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class EnvoyGatewayDefinitions(Addon):
    """Makes the kinds of gateway.envoyproxy.io. Not a release: with 2.0 MB it is too large for one, see `gateway_api`."""

    def __init__(
        self, name: str, args: EnvoyGatewayDefinitionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:EnvoyGatewayDefinitions", name, {}, opts)
        self._define(name, args, GATEWAY_CRDS, definition_values())


@dataclass(frozen=True, kw_only=True)
class EnvoyGatewayArgs(AddonArgs):
    """`replicas`: of the controller, of each Gateway's proxy, and of what counts requests. limits: None is none.

    traced: proxies write a span of each request.
    """

    limits: RequestLimits | None = None
    traced: bool = False


class EnvoyGateway(Addon):
    """Installs the controller and its class. Once `ready` is known, a Gateway can name `GATEWAY_CLASS`."""

    def __init__(self, name: str, args: EnvoyGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:EnvoyGateway", name, {}, opts)
        if image := managed_image(args.limits):
            store = RateLimitStoreArgs(namespace=args.namespace, image=image)
            made = RateLimitStore(f"{name}-limits", store, pulumi.ResourceOptions(parent=self))
            # The rate limiter ends where it finds no Redis at its start, and is started again ever more slowly.
            args = replace(args, after=[*args.after, made.deployment])
        values = controller_values(name=name, replicas=args.replicas, limits=args.limits)
        # Both units of definitions come before this one.
        release = self._install(name, args, ENVOY_GATEWAY, values, skip_crds=True)
        # The controller: it owns what these two say, and refuses what it does not understand.
        child = pulumi.ResourceOptions(parent=self, depends_on=[release])
        proxy = CustomResource(
            f"{name}-proxy",
            api_version=OWN_API,
            kind="EnvoyProxy",
            metadata=ObjectMetaArgs(name=PROXY, namespace=args.namespace),
            spec=proxy_spec(replicas=args.replicas, traced=args.traced),
            opts=child,
        )
        gateway_class = CustomResource(
            f"{name}-class",
            api_version=CLASS_API,
            kind="GatewayClass",
            metadata=ObjectMetaArgs(name=GATEWAY_CLASS),
            spec=class_spec(namespace=args.namespace),
            opts=child,
        )
        self.ready = pulumi.Output.all(self.ready, proxy.id, gateway_class.id).apply(
            lambda known: str(known[0])
        )


def definition_values() -> dict[str, Any]:
    """Return the values of the chart of definitions, which switch both halves of it."""
    return {"crds": {"gatewayAPI": {"enabled": False}, "envoyGateway": {"enabled": True}}}


def controller_values(*, name: str, replicas: int, limits: RequestLimits | None = None) -> dict[str, Any]:
    """Return the controller's values. Pod security is the chart's own, already as strict as it can be."""
    labels = {"control-plane": "envoy-gateway", "app.kubernetes.io/instance": name}
    kubernetes: dict[str, Any] = {"deploy": {"type": "GatewayNamespace"}}
    if limits is not None:
        spread = _over_zones(LIMITER_LABELS) if replicas > 1 else []
        kubernetes |= limiter_deployment(limits, replicas=replicas, spread=spread)
    return {
        # A sub-chart, with the experimental channel of the Gateway API in it.
        "crds": {"enabled": False},
        "deployment": {
            "replicas": replicas,
            "envoyGateway": {
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
            },
            "pod": {"topologySpreadConstraints": _over_zones(labels) if replicas > 1 else []},
        },
        "podDisruptionBudget": {"maxUnavailable": 1} if replicas > 1 else {},
        "config": {
            "envoyGateway": {
                "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
                **({"rateLimit": limiter_values(limits)} if limits else {}),
                # No policy of Envoy Gateway's own can demand that a token expires, or form an error: patches of Envoy do. And none reads
                # a model's name out of a body: a script does.
                "extensionApis": {"enableEnvoyPatchPolicy": True, "enableLua": True},
                "logging": {"level": {"default": "info"}, "encoder": "JSON"},
            }
        },
        # A webhook that is asked about every pod of every namespace when it is given its node, and needs the right to
        # change all of them, to tell Envoy its zone. Nothing here routes by zone.
        "topologyInjector": {"enabled": False},
        "certgen": {
            "job": {
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
            }
        },
    }


def proxy_spec(*, replicas: int, traced: bool = False) -> dict[str, Any]:
    """Return what a proxy of the class is. Its containers are restricted by the controller, whatever is said here."""
    labels = {"app.kubernetes.io/name": "envoy", "app.kubernetes.io/component": "proxy"}
    several = replicas > 1
    kubernetes: dict[str, Any] = {
        "envoyService": {"type": "ClusterIP"},
        "envoyDeployment": {
            "replicas": replicas,
            "pod": {
                "annotations": dict(PLAIN_INBOUND),
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "topologySpreadConstraints": _over_zones(labels) if several else [],
            },
            # The controller derives Envoy's own limit from it: at 78 % new requests are refused, before the kernel kills all.
            "container": {
                "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
            },
        },
    }
    if several:
        kubernetes["envoyPDB"] = {"maxUnavailable": 1}
    return {
        "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
        "shutdown": {"drainTimeout": f"{DRAIN_SECONDS}s"},
        "telemetry": {
            "accessLog": access_log(),
            # By pod: both versions of a model are one cluster of Envoy's, and a canary that nothing reaches counts nothing itself.
            "metrics": {"enablePerEndpointStats": True},
            **({"tracing": tracing()} if traced else {}),
        },
    }


def class_spec(*, namespace: pulumi.Input[str]) -> dict[str, Any]:
    """Return the class. The reference names the namespace: without it the controller looks in `default`."""
    return {
        "controllerName": CONTROLLER,
        "parametersRef": {
            "group": "gateway.envoyproxy.io",
            "kind": "EnvoyProxy",
            "name": PROXY,
            "namespace": namespace,
        },
    }


def _over_zones(labels: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": _ZONE,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }
    ]
