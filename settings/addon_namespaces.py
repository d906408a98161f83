"""The namespace of each add-on's unit: what is installed there is the platform's, so no models' namespace may be called so."""

from collections.abc import Mapping
from typing import Final

_BY_NAMESPACE: Final[Mapping[str, tuple[str, ...]]] = {
    "cert-manager": ("cert-manager",),
    "cnpg-system": ("cloudnative-pg", "cloudnative-pg-backups"),
    "envoy-gateway-system": ("envoy-gateway-definitions", "envoy-gateway"),
    "external-secrets": ("external-secrets",),
    "harbor": ("harbor",),
    "istio-system": ("istio-base", "istiod", "istio-cni", "ztunnel"),
    "keda": ("keda",),
    "kong": ("kong",),
    "kserve": ("kserve-definitions", "kserve", "kserve-runtimes"),
    "kube-system": (
        "gateway-api",
        "nvidia-device-plugin",
        "metrics-server",
        "load-balancer-controller",
        "karpenter-definitions",
        "karpenter",
    ),
    "monitoring": (
        "prometheus-definitions",
        "prometheus",
        "prometheus-adapter",
        "dcgm-exporter",
        "loki",
        "tempo",
        "otel-gateway",
        "otel-agent",
    ),
    "vault": ("vault",),
}

ADDON_NAMESPACES: Final[Mapping[str, str]] = {
    unit: namespace for namespace, units in _BY_NAMESPACE.items() for unit in units
}
"""By unit."""
