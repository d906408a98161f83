"""The gateway and the routes to all models of a stack, where the platform has one: Envoy Gateway, or Kong.

A function that wires components: every route is the stack's own.
"""

from collections.abc import Mapping

import pulumi

from components.addons.pattern import Addon
from components.api_gateway import ApiGateway, ApiGatewayArgs
from components.common_api import CommonApi, CommonApiArgs
from components.gateway_policies import GatewayPolicies, GatewayPoliciesArgs
from components.kong_gateway import KongRoutes, KongRoutesArgs
from components.model_route import ModelRoute, ModelRouteArgs
from components.model_service import ModelService
from components.route_policy import RoutePolicy, RoutePolicyArgs, own_policies
from components.secret_delivery import SecretSource
from settings import Settings
from settings.kong import KongGateway
from settings.needed_secrets import GATEWAY
from settings.versions import versions_of


def open_routes(
    settings: Settings,
    services: Mapping[str, ModelService],
    addons: Mapping[str, Addon],
    secrets: SecretSource,
    *,
    namespace: pulumi.Input[str],
    on_cluster: pulumi.ResourceOptions,
) -> None:
    """Open a route to each model. `services`: of all versions, by name. Without a gateway there is none."""
    if not settings.routes:
        return
    if isinstance(settings.gateway, KongGateway):
        _open_kong(
            settings, settings.gateway, services, addons, secrets, namespace=namespace, on_cluster=on_cluster
        )
        return
    controller = [addons[unit] for unit in ("envoy-gateway",) if unit in addons]
    gateway = ApiGateway("gateway", ApiGatewayArgs(namespace=namespace, after=controller), on_cluster)
    policies = GatewayPolicies(
        "gateway-policies",
        GatewayPoliciesArgs(
            namespace=namespace,
            gateway=gateway.name,
            settings=settings.envoy,
            limits=settings.request_limits,
        ),
        on_cluster,
    )
    common = CommonApi(
        "common-api",
        CommonApiArgs(
            namespace=namespace,
            gateway=gateway.name,
            models=settings.enabled_models,
            settings=settings.envoy,
            after=[policies],
        ),
        on_cluster,
    )
    for model in settings.enabled_models:
        # Closed before it is opened: a route comes after what decides who may take it.
        closed: list[pulumi.Resource] = [policies]
        if own_policies(settings.envoy, model):
            policy = RoutePolicyArgs(
                namespace=namespace, model=model, settings=settings.envoy, after=[policies]
            )
            closed.append(RoutePolicy(f"{model.name}-policy", policy, on_cluster))
        args = ModelRouteArgs(
            namespace=namespace,
            gateway=gateway.name,
            model=model,
            after=[*(services[version.name] for version in versions_of(model)), *closed, *common.filters],
        )
        ModelRoute(f"{model.name}-route", args, on_cluster)


def _open_kong(
    settings: Settings,
    gateway: KongGateway,
    services: Mapping[str, ModelService],
    addons: Mapping[str, Addon],
    secrets: SecretSource,
    *,
    namespace: pulumi.Input[str],
    on_cluster: pulumi.ResourceOptions,
) -> None:
    """Open the routes of Kong, which reads some of what it is told from Secrets."""
    reads = secrets.of(GATEWAY)
    args = KongRoutesArgs(
        namespace=namespace,
        settings=gateway,
        models=settings.enabled_models,
        services={
            model.name: [services[version.name] for version in versions_of(model)]
            for model in settings.enabled_models
        },
        after=[
            *(addons[unit] for unit in ("kong",) if unit in addons),
            *([secrets.deliver(reads, namespace, addons, on_cluster)] if reads else []),
        ],
    )
    KongRoutes("gateway", args, on_cluster)
