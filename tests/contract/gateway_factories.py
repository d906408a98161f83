"""Arguments of the gateway and its routes."""

from collections.abc import Callable
from typing import Any, Final

import pulumi

from components.api_gateway import ApiGateway, ApiGatewayArgs
from components.common_api import CommonApi, CommonApiArgs
from components.gateway_policies import GatewayPolicies, GatewayPoliciesArgs
from components.kong_gateway import KongRoutes, KongRoutesArgs
from components.model_route import ModelRoute, ModelRouteArgs
from components.route_policy import RoutePolicy, RoutePolicyArgs
from settings import Settings
from settings.gateway import Consumer
from settings.kong import KongGateway
from tests.made_stacks import KONG

FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    KongRoutes: lambda s: KongRoutesArgs(
        namespace="llm",
        settings=KongGateway.model_validate(KONG["gateway"]),
        models=s.enabled_models[:1],
        services={},
    ),
    ApiGateway: lambda _: ApiGatewayArgs(namespace="llm"),
    GatewayPolicies: lambda s: GatewayPoliciesArgs(
        namespace="llm", gateway="api-gateway", settings=s.envoy, limits=s.request_limits
    ),
    CommonApi: lambda s: CommonApiArgs(
        namespace="llm",
        gateway="api-gateway",
        models=s.enabled_models,
        settings=s.envoy.model_copy(update={"consumers": (Consumer(name="a", models=("chat",)),)}),
    ),
    RoutePolicy: lambda s: RoutePolicyArgs(
        namespace="llm",
        model=s.enabled_models[0],
        settings=s.envoy.model_copy(update={"consumers": (Consumer(name="a", models=("chat",)),)}),
    ),
    ModelRoute: lambda s: ModelRouteArgs(
        namespace="llm", gateway="api-gateway", model=s.enabled_models[0], after=()
    ),
}
