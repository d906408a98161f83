"""What there is to install: one row a Helm chart, with what it needs, what it owns alone, and what shows that it is there.

The order of installation comes from these rows and from nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One chart of an add-on.

    name: of the release and of its component. addon: the setting that switches it on, a field of `Addons`.
    needs: units that must be installed before it, and for what. A need that is off is refused.
    after: units that are installed before it where they are on; without them it is installed with less.
    uses: units that must be on, and for what, in whatever order: it asks them when it runs.
    owns: what only one unit of a cluster may have, in words that a refusal shows.
    serves: APIs, as `group/version`, that are there once it is; how one that exists is recognised.
    volumes: it stores on volumes, so the cluster must have a storage class.
    runs: it has pods, so the cluster must have nodes; definitions of kinds have none.
    """

    name: str
    addon: str
    needs: Mapping[str, str] = field(default_factory=dict[str, str])
    after: tuple[str, ...] = ()
    uses: Mapping[str, str] = field(default_factory=dict[str, str])
    owns: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    volumes: bool = False
    runs: bool = True


# The kinds ServiceMonitor and PodMonitor: whoever is watched has one, where somebody reads it.
_MONITORED: Final = ("prometheus-definitions",)

# Who delivers secrets, and where they may be kept: whoever reads one comes after.
_DELIVERED: Final = ("vault", "external-secrets")

CATALOGUE: Final[tuple[Unit, ...]] = (
    Unit(
        name="gateway-api",
        addon="gateway_api",
        owns=("the kinds of the Gateway API",),
        serves=("gateway.networking.k8s.io/v1",),
        runs=False,
    ),
    Unit(
        name="prometheus-definitions",
        addon="prometheus",
        owns=("the kinds of the Prometheus operator",),
        serves=("monitoring.coreos.com/v1",),
        runs=False,
    ),
    Unit(
        name="prometheus",
        addon="prometheus",
        needs={"prometheus-definitions": "its kinds Prometheus and Alertmanager"},
        after=_DELIVERED,
        volumes=True,
    ),
    Unit(
        name="cert-manager",
        addon="cert_manager",
        after=_MONITORED,
        owns=("the kinds of cert-manager",),
        serves=("cert-manager.io/v1",),
    ),
    Unit(name="nvidia-device-plugin", addon="nvidia_device_plugin", owns=("the resource nvidia.com/gpu",)),
    Unit(name="dcgm-exporter", addon="dcgm_exporter", after=_MONITORED),
    Unit(
        name="metrics-server",
        addon="metrics_server",
        after=_MONITORED,
        owns=("the API metrics.k8s.io",),
        serves=("metrics.k8s.io/v1beta1",),
    ),
    Unit(
        name="istio-base",
        addon="istio",
        owns=("the kinds of Istio",),
        serves=("security.istio.io/v1", "networking.istio.io/v1"),
        runs=False,
    ),
    Unit(name="istiod", addon="istio", needs={"istio-base": "its kinds and its account"}),
    Unit(name="istio-cni", addon="istio"),
    Unit(
        name="ztunnel",
        addon="istio",
        needs={"istiod": "the certificates of its pods", "istio-cni": "the traffic that it carries"},
    ),
    Unit(
        name="kserve-definitions",
        addon="kserve",
        owns=("the kinds of KServe",),
        serves=("serving.kserve.io/v1beta1", "serving.kserve.io/v1alpha1"),
        runs=False,
    ),
    Unit(
        name="kserve",
        addon="kserve",
        needs={
            "kserve-definitions": "its kinds",
            "cert-manager": "the certificate of its webhooks",
        },
    ),
    Unit(
        name="kserve-runtimes",
        addon="kserve_runtimes",
        needs={"kserve": "the webhook that checks ClusterServingRuntimes"},
        runs=False,
    ),
    Unit(
        name="keda",
        addon="keda",
        after=_MONITORED,
        owns=("the API external.metrics.k8s.io", "the kinds of KEDA"),
        serves=("keda.sh/v1alpha1", "external.metrics.k8s.io/v1beta1"),
    ),
    Unit(
        name="prometheus-adapter",
        addon="prometheus_adapter",
        uses={"prometheus": "the metrics that it hands on"},
        owns=("the API custom.metrics.k8s.io",),
        serves=("custom.metrics.k8s.io/v1beta1",),
    ),
    Unit(name="loki", addon="loki", after=(*_MONITORED, *_DELIVERED), volumes=True),
    Unit(name="tempo", addon="tempo", after=(*_MONITORED, *_DELIVERED), volumes=True),
    Unit(name="otel-gateway", addon="otel_collector", after=_MONITORED),
    Unit(name="otel-agent", addon="otel_collector", after=_MONITORED),
    Unit(
        name="envoy-gateway-definitions",
        addon="envoy_gateway",
        owns=("the kinds of Envoy Gateway",),
        serves=("gateway.envoyproxy.io/v1alpha1",),
        runs=False,
    ),
    Unit(
        name="envoy-gateway",
        addon="envoy_gateway",
        needs={
            "gateway-api": "the kinds Gateway and HTTPRoute",
            "envoy-gateway-definitions": "its kinds",
        },
        # The collector: a proxy that shall send to a Service that is not there is none.
        after=(*_MONITORED, *_DELIVERED, "otel-gateway"),
        owns=("the gateway in front of the models",),
    ),
    Unit(
        name="kong",
        addon="kong",
        needs={"gateway-api": "the kinds Gateway and HTTPRoute"},
        after=_MONITORED,
        owns=("the gateway in front of the models",),
        serves=("configuration.konghq.com/v1",),
    ),
    Unit(
        name="vault",
        addon="vault",
        needs={"cert-manager": "the certificates of its replicas"},
        after=_MONITORED,
        volumes=True,
    ),
    Unit(
        name="external-secrets",
        addon="external_secrets",
        after=_MONITORED,
        owns=("the kinds of External Secrets",),
        serves=("external-secrets.io/v1",),
    ),
    Unit(
        name="cloudnative-pg",
        addon="cloudnative_pg",
        after=_MONITORED,
        owns=("the kinds of CloudNativePG",),
        serves=("postgresql.cnpg.io/v1",),
    ),
    Unit(
        name="cloudnative-pg-backups",
        addon="cloudnative_pg",
        needs={
            "cloudnative-pg": "the operator that calls it",
            "cert-manager": "the certificate that the operator knows it by",
        },
        serves=("barmancloud.cnpg.io/v1",),
    ),
    Unit(name="harbor", addon="harbor", after=(*_MONITORED, *_DELIVERED), volumes=True),
    Unit(
        name="load-balancer-controller",
        addon="load_balancer_controller",
        owns=("the kind TargetGroupBinding",),
        serves=("elbv2.k8s.aws/v1beta1",),
    ),
    Unit(
        name="karpenter-definitions",
        addon="karpenter",
        owns=("the kinds of Karpenter",),
        serves=("karpenter.sh/v1", "karpenter.k8s.aws/v1"),
        runs=False,
    ),
    Unit(
        name="karpenter",
        addon="karpenter",
        needs={"karpenter-definitions": "its kinds, without which it ends"},
        owns=("the number of elastic nodes",),
    ),
)

ADDON_NAMES: Final[tuple[str, ...]] = tuple(dict.fromkeys(unit.addon for unit in CATALOGUE))


def unit_named(name: str, catalogue: tuple[Unit, ...] = CATALOGUE) -> Unit:
    """Return the row of a unit. Raises KeyError."""
    for unit in catalogue:
        if unit.name == name:
            return unit
    raise KeyError(name)
