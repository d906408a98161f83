"""What holds for one model's route and not for every other: who may call it, and that a call can wake it.

Owns: the SecurityPolicy of a route where the stack names its consumers, and the BackendTrafficPolicy of one whose model
may have no replicas. The first goes before the Gateway's own, so it says all of that again; the second is merged with it, so that
requests are counted as on every other route.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.envoy_gateway import OWN_API
from components.gateway_policies import security_policy
from components.model_names import MODEL_LABEL
from settings.gateway import Gateway
from settings.keda import DEMAND_AT_ZERO, KedaScaling
from settings.models import Model

# A route to pods becomes an answer of Envoy's own where there are none, and nothing says whose it was. A route to the Service's address
# keeps its counters, which the scaler asks (docs/data-plane.md). They count every try: with the Gateway's retries one call would be three.
WAKING: Final[Mapping[str, Any]] = {
    "mergeType": "StrategicMerge",
    "routingType": "Service",
    "retry": {"numRetries": 0},
}
NOBODY: Final = "-"
"""No consumer can be called so: a model without one is closed, and not open."""


@dataclass(frozen=True, kw_only=True)
class RoutePolicyArgs:
    """`model`: whose route it is, of the same name. after: the kinds of the policies."""

    namespace: pulumi.Input[str]
    model: Model
    settings: Gateway
    after: Sequence[pulumi.Resource] = ()


class RoutePolicy(pulumi.ComponentResource):
    """Makes them."""

    def __init__(self, name: str, args: RoutePolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:gateway:RoutePolicy", name, {}, opts)
        route = args.model.name
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}
        policies = own_policies(args.settings, args.model)
        for role, kind, spec in policies:
            CustomResource(
                f"{name}-{role}",
                api_version=OWN_API,
                kind=kind,
                metadata=ObjectMetaArgs(
                    name=route,
                    namespace=args.namespace,
                    labels={"app.kubernetes.io/part-of": "vllm-platform", MODEL_LABEL: route},
                ),
                spec={"targetRefs": [target], **spec},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
            )
        self.register_outputs({"policies": [role for role, _, _ in policies]})


def own_policies(settings: Gateway, model: Model) -> list[tuple[str, str, dict[str, Any]]]:
    """Return role, kind and spec of each policy that a model's route needs; none where the Gateway's own are enough."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    if settings.consumers:
        claims = callers(settings, model.name)
        found.append(("security", "SecurityPolicy", security_policy(settings, claims=claims)))
    if may_be_woken(model):
        found.append(("backend", "BackendTrafficPolicy", {**WAKING}))
    return found


def may_be_woken(model: Model) -> bool:
    """Tell whether calls of a model bring it back from no replicas: it may have none, and the demand is asked for.

    The demand alone decides nothing: above zero the route goes to pods, by which Envoy balances better.
    """
    scaling = model.autoscaling
    return isinstance(scaling, KedaScaling) and scaling.min == 0 and DEMAND_AT_ZERO in scaling.signals


def callers(settings: Gateway, model: str) -> list[str]:
    """Return the consumers that may call a model, in order. With nobody there is a name that no token has."""
    found = sorted(consumer.name for consumer in settings.consumers if model in consumer.models)
    return found or [NOBODY]
