"""Kong: the other gateway, without a database. In each pod a proxy, and a controller that tells it the routes.

Owns: its release and its kinds. Does not own: the kinds of the Gateway API (`gateway_api`), any GatewayClass,
Gateway, route or plugin. The proxy runs in the add-on's own namespace, under the account `kong`, by which
models know it (`security/parties.py`).

The chart's kinds lie in crds/: Helm installs them once and never upgrades them. An upgrade of the chart that needs
newer ones needs `kubectl apply --server-side` of that folder first. They stay when the add-on goes.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import KONG as CHART
from components.mesh import PLAIN_INBOUND, mesh_label

NAME: Final = "kong"
PROXY_SERVICE: Final = f"{NAME}-proxy"
PREPARE_SECONDS: Final = 15
"""Between the order to stop and the first refusal: until then load balancers have dropped the pod."""
DRAIN_SECONDS: Final = 300
"""How long a proxy that must go waits for running answers: 8192 tokens at 30 a second take 273 s."""
MARGIN_SECONDS: Final = 15


@dataclass(frozen=True, kw_only=True)
class KongArgs(AddonArgs):
    """`meshed`: models are in the mesh, so the proxies must be, to be known there. Who calls them comes from outside of it."""

    meshed: bool = False


class Kong(Addon):
    """Installs it. Once `ready` is known, a GatewayClass can be made for it."""

    def __init__(self, name: str, args: KongArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Kong", name, {}, opts)
        self._install(
            name,
            args,
            CHART,
            kong_values(replicas=args.replicas, monitored=args.monitored, meshed=args.meshed),
        )


def kong_values(*, replicas: int, monitored: bool, meshed: bool = False) -> dict[str, Any]:
    """Return the chart's values. Pod security is the chart's own, already as strict as it can be."""
    several = replicas > 1
    budget: dict[str, Any] = {"enabled": False}
    if several:
        # Together with one replica the chart refuses it.
        budget = {"enabled": True, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    closed = {"enabled": False, "type": "ClusterIP"}
    return {
        "fullnameOverride": NAME,
        # The last line that needs no licence: a newer chart must not bring another by itself.
        "image": {"tag": "3.9"},
        "env": {"database": "off"},
        "postgresql": {"enabled": False},
        "podLabels": mesh_label(meshed=meshed),
        "podAnnotations": dict(PLAIN_INBOUND) if meshed else {},
        "replicaCount": replicas,
        "podDisruptionBudget": budget,
        "topologySpreadConstraints": [_over_zones()] if several else [],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "proxy": {"type": "ClusterIP"},
        # The controller reaches the admin API inside the pod. Its Service, and those of two consoles that this Kong has
        # not, would by the chart's default listen on ports of every node.
        "admin": closed,
        "manager": closed,
        "portal": closed,
        "portalapi": closed,
        "lifecycle": {
            "preStop": {
                "exec": {
                    "command": ["kong", "quit", f"--wait={PREPARE_SECONDS}", f"--timeout={DRAIN_SECONDS}"]
                }
            }
        },
        "terminationGracePeriodSeconds": PREPARE_SECONDS + DRAIN_SECONDS + MARGIN_SECONDS,
        "ingressController": {
            "enabled": True,
            "rbac": {"gatewayAPI": {"enabled": True}},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            # Otherwise every Secret that is written anywhere in the cluster is shown to its webhook.
            "admissionWebhook": {"filterSecrets": True},
        },
        # By default the chart leaves it out, without a word, where it sees no such kind.
        "serviceMonitor": {"enabled": monitored, "trustCRDsExist": monitored},
    }


def _over_zones() -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {
            "matchLabels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "app"}
        },
    }
