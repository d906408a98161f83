"""The kinds of the Gateway API: Gateway, HTTPRoute and their like, in the standard channel.

Owns: these kinds, for whoever uses them (a gateway, the mesh). It is their ONE installer: the charts of the
gateways bring them too and are told not to. Does not own: any controller or object of these kinds.

`_define`, because this chart can not be a Helm release: as one it would be a Secret of 1.8 MB (measured: the
chart's templates and the manifest, gzipped and base64, as Helm stores them), and a Secret holds 1 MiB. The kinds
are upgraded with the chart and stay when the add-on goes.
"""

from dataclasses import dataclass
from typing import Any

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import GATEWAY_CRDS as CHART


@dataclass(frozen=True, kw_only=True)
class GatewayApiArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class GatewayApi(Addon):
    """Makes the kinds."""

    def __init__(self, name: str, args: GatewayApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:GatewayApi", name, {}, opts)
        self._define(name, args, CHART, gateway_api_values())


def gateway_api_values() -> dict[str, Any]:
    """Return the chart's values, which switch both halves of it."""
    return {
        "crds": {
            # Every kind and field that the platform uses is in it, and the admission policy that comes with it then keeps the
            # experimental one out, whoever brings it.
            "gatewayAPI": {"enabled": True, "channel": "standard"},
            # `envoy-gateway-definitions` has them, where there is an Envoy Gateway.
            "envoyGateway": {"enabled": False},
        }
    }
