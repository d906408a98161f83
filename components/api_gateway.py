"""The Gateway through which the models are called.

Owns: the Gateway, of which Envoy Gateway makes a proxy of the same name in the same namespace. Does not own: the
class, and the routes.

One listener, plain HTTP: TLS ends at the edge's load balancer. Routes of other namespaces are not taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.envoy_gateway import GATEWAY_CLASS
from settings.scalars import GATEWAY_ACCOUNT

API_VERSION: Final = "gateway.networking.k8s.io/v1"
GATEWAY: Final = GATEWAY_ACCOUNT
"""Its name, and that of the proxy's Service and ServiceAccount, by which load balancer and mesh know it."""
LISTENER: Final = "http"
GATEWAY_PORT: Final = 8080
"""Of the listener, of the Service and of the pods: from 1024 on Envoy Gateway leaves a port as it is."""


@dataclass(frozen=True, kw_only=True)
class ApiGatewayArgs:
    """`namespace` of the models. after: the controller, where this program installs it."""

    namespace: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()


class ApiGateway(pulumi.ComponentResource):
    """Makes it. `name` is known once a route can name it."""

    name: pulumi.Output[str]

    def __init__(self, name: str, args: ApiGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:gateway:ApiGateway", name, {}, opts)
        gateway = CustomResource(
            f"{name}-gateway",
            api_version=API_VERSION,
            kind="Gateway",
            metadata=ObjectMetaArgs(
                name=GATEWAY,
                namespace=args.namespace,
                labels={"app.kubernetes.io/part-of": "vllm-platform"},
            ),
            spec=gateway_spec(),
            # Its kind and its class; and when it is deleted, the controller that takes the proxy away.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
        )
        self.name = gateway.id.apply(lambda _: GATEWAY)
        self.register_outputs({"name": self.name})


def gateway_spec() -> dict[str, Any]:
    """Return the Gateway's spec."""
    return {
        "gatewayClassName": GATEWAY_CLASS,
        "listeners": [
            {
                "name": LISTENER,
                "port": GATEWAY_PORT,
                "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Same"}},
            }
        ],
    }
