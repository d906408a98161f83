"""Istio in ambient mode: identity and mTLS between pods, without a proxy in any of them.

Owns: its kinds, the control plane, and two agents on every node: `istio-cni`, which leads the traffic of meshed
pods to `ztunnel`, which carries it. Does not own: which namespaces are meshed, and who may talk to whom.

The kinds are templates of the chart `base`: they are upgraded with it, and stay when it goes (each carries the
mark of Helm for that; the chart has no option). Everything lives in one namespace, whose name the agents'
identities contain; its pods need the pod security level `privileged`.

No value may lie under the key that holds the charts' defaults: the charts would take it for a default and let
the profile win over it. None of the four charts has a ServiceMonitor or PodMonitor: who watches them makes them.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import ISTIO_BASE, ISTIO_CNI, ISTIOD, ZTUNNEL
from components.node_agents import MESH_NAMESPACE, MESH_PROXY

PROFILE: Final = "ambient"
MOST_REPLICAS: Final = 5


@dataclass(frozen=True, kw_only=True)
class IstioBaseArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class IstioBase(Addon):
    """Makes the kinds, and the webhook that checks their objects once istiod answers."""

    def __init__(self, name: str, args: IstioBaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:IstioBase", name, {}, opts)
        self._install(name, args, ISTIO_BASE, base_values())


@dataclass(frozen=True, kw_only=True)
class IstiodArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class Istiod(Addon):
    """Installs the control plane: it signs the pods' certificates and tells ztunnel who may talk to whom."""

    def __init__(self, name: str, args: IstiodArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Istiod", name, {}, opts)
        self._install(name, args, ISTIOD, istiod_values(replicas=args.replicas))


@dataclass(frozen=True, kw_only=True)
class IstioCniArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class IstioCni(Addon):
    """Installs the agent that leads the traffic of meshed pods to ztunnel."""

    def __init__(self, name: str, args: IstioCniArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:IstioCni", name, {}, opts)
        self._install(name, args, ISTIO_CNI, cni_values())


@dataclass(frozen=True, kw_only=True)
class ZtunnelArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class Ztunnel(Addon):
    """Installs the proxy of each node."""

    def __init__(self, name: str, args: ZtunnelArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Ztunnel", name, {}, opts)
        self._install(name, args, ZTUNNEL, ztunnel_values())


def base_values() -> dict[str, Any]:
    """Return the values of the chart of kinds."""
    return {"profile": PROFILE, "global": {"istioNamespace": MESH_NAMESPACE}}


def istiod_values(*, replicas: int) -> dict[str, Any]:
    """Return the control plane's values. No toleration: GPU nodes, which are tainted, stay free of it."""
    several = replicas > 1
    return {
        "profile": PROFILE,
        "global": {"istioNamespace": MESH_NAMESPACE, "logAsJson": True},
        "autoscaleEnabled": several,
        "autoscaleMin": replicas,
        "autoscaleMax": max(MOST_REPLICAS, replicas),
        "replicaCount": replicas,
        # The chart makes a budget only for several. It takes `maxUnavailable` over its own `minAvailable`.
        "pdb": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        "topologySpreadConstraints": [_over_zones({"app": "istiod"})] if several else [],
        # A quarter of the chart's 2 Gi, which are for thousands of sidecars.
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "seccompProfile": {"type": "RuntimeDefault"},
        # Said, because a new version may switch it on: no route here ends in an InferencePool.
        "env": {"ENABLE_GATEWAY_API_INFERENCE_EXTENSION": "false"},
        # About metrics of Envoys that are Istio's: there is none.
        "telemetry": {"enabled": False},
        # ztunnel's account may ask for certificates in the name of the pods on its node.
        "trustedZtunnelNamespace": MESH_PROXY.namespace,
        "trustedZtunnelName": MESH_PROXY.service_account,
    }


def cni_values() -> dict[str, Any]:
    """Return the agent's values. It tolerates every taint, by the chart's own default: no node may be without it.

    Its account has a name that the chart does not let anybody choose: that of `node_agents.MESH_NETWORK`.
    """
    return {
        "profile": PROFILE,
        "global": {"logAsJson": True},
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"memory": "256Mi"}},
    }


def ztunnel_values() -> dict[str, Any]:
    """Return the proxy's values. It tolerates every taint, by the chart's own default: no node may be without it."""
    return {
        "profile": PROFILE,
        # Names the account too.
        "resourceName": MESH_PROXY.service_account,
        "istioNamespace": MESH_NAMESPACE,
        "logAsJson": True,
        # All traffic of the node's pods goes through it. The chart has no limit; what it holds grows with the cluster.
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
    }


def _over_zones(labels: dict[str, str]) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
