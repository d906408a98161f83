"""The component of each unit of the catalogue, and what it is told beside what all are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.cert_manager import CertManager, CertManagerArgs
from components.addons.cloudnative_pg import (
    CloudnativePg,
    CloudnativePgArgs,
    CloudnativePgBackups,
    CloudnativePgBackupsArgs,
)
from components.addons.dcgm_exporter import DcgmExporter, DcgmExporterArgs
from components.addons.envoy_gateway import (
    EnvoyGateway,
    EnvoyGatewayArgs,
    EnvoyGatewayDefinitions,
    EnvoyGatewayDefinitionsArgs,
)
from components.addons.external_secrets import ExternalSecrets, ExternalSecretsArgs
from components.addons.gateway_api import GatewayApi, GatewayApiArgs
from components.addons.harbor import Harbor, HarborArgs
from components.addons.istio import (
    IstioBase,
    IstioBaseArgs,
    IstioCni,
    IstioCniArgs,
    Istiod,
    IstiodArgs,
    Ztunnel,
    ZtunnelArgs,
)
from components.addons.keda import Keda, KedaArgs
from components.addons.kong import Kong, KongArgs
from components.addons.kserve import (
    Kserve,
    KserveArgs,
    KserveDefinitions,
    KserveDefinitionsArgs,
    KserveRuntimes,
    KserveRuntimesArgs,
)
from components.addons.loki import Loki, LokiArgs
from components.addons.metrics_server import MetricsServer, MetricsServerArgs
from components.addons.nvidia_device_plugin import NvidiaDevicePlugin, NvidiaDevicePluginArgs
from components.addons.otel_audit import AuditStream
from components.addons.otel_collector import OtelAgent, OtelAgentArgs, OtelGateway, OtelGatewayArgs
from components.addons.pattern import Addon, AddonArgs
from components.addons.prometheus import (
    Prometheus,
    PrometheusArgs,
    PrometheusDefinitions,
    PrometheusDefinitionsArgs,
    prometheus_url,
)
from components.addons.prometheus_adapter import PrometheusAdapter, PrometheusAdapterArgs
from components.addons.tempo import Tempo, TempoArgs
from components.addons.vault import Vault, VaultArgs
from settings import Settings
from settings.audit import S3Audit
from settings.needed_secrets import GRAFANA_SECRET
from settings.scaling import reads_gpu_load


@dataclass(frozen=True, kw_only=True)
class Site:
    """What add-ons are told of the stack. `storage_class`: of their volumes; None is the cluster's default.

    vault_key: alias of the key that unseals Vault, without `alias/`.
    """

    settings: Settings
    storage_class: str | None = None
    vault_key: str = ""

    @property
    def grafana_secret(self) -> str | None:
        """The Secret with Grafana's administrator, where the stack delivers one."""
        found = {one.name for one in self.settings.needed_secrets if "prometheus" in one.users}
        return GRAFANA_SECRET if GRAFANA_SECRET in found else None

    @property
    def gpu_scaled(self) -> tuple[str, ...]:
        """Models whose scaler reads the load of GPUs."""
        return tuple(m.name for m in self.settings.enabled_models if reads_gpu_load(m.autoscaling))

    def has(self, addon: str) -> bool:
        """Tell whether an add-on is on the cluster, whoever installed it."""
        return self.settings.asked.choice(addon) != "off"


def _nothing(_: Site) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A unit's component. `own`: its own arguments, beside those of every add-on."""

    component: Callable[[str, Any, pulumi.ResourceOptions], Addon]
    args: type[AddonArgs]
    own: Callable[[Site], Mapping[str, Any]] = _nothing


def _kept(field: str) -> Callable[[Site], Mapping[str, Any]]:
    """Return the arguments of what keeps logs or traces."""

    def own(site: Site) -> Mapping[str, Any]:
        observability = site.settings.observability
        return {
            field: getattr(observability, field),
            "store": observability.store,
            "region": site.settings.cluster.region,
            "storage_class": site.storage_class,
        }

    return own


def _sinks(site: Site) -> Mapping[str, Any]:
    return {"logs": site.has("loki"), "traces": site.has("tempo")}


def _audit_stream(settings: Settings) -> AuditStream | None:
    """Return where the gateway's lines are kept: Envoy's, as Kong writes none of this form."""
    if not isinstance(settings.audit, S3Audit) or not settings.routes or settings.gateway.kind != "envoy":
        return None
    return AuditStream(
        bucket=settings.audit.bucket, region=settings.cluster.region, namespace=settings.namespace
    )


def _meshed(site: Site) -> Mapping[str, Any]:
    return {"meshed": site.settings.meshed}


UNITS: Final[dict[str, Row]] = {
    "gateway-api": Row(component=GatewayApi, args=GatewayApiArgs),
    "prometheus-definitions": Row(component=PrometheusDefinitions, args=PrometheusDefinitionsArgs),
    "prometheus": Row(
        component=Prometheus,
        args=PrometheusArgs,
        own=lambda s: {
            "metrics": s.settings.observability.metrics,
            "storage_class": s.storage_class,
            "admin_secret": s.grafana_secret,
            "alerting": s.settings.observability.alerting,
            "gpu_scaled": s.gpu_scaled,
            **_sinks(s),
            **_meshed(s),
        },
    ),
    "cert-manager": Row(component=CertManager, args=CertManagerArgs),
    "nvidia-device-plugin": Row(
        component=NvidiaDevicePlugin,
        args=NvidiaDevicePluginArgs,
        # The node image of Bottlerocket brings its own.
        own=lambda s: {"pools": tuple(p for p in s.settings.gpu_pools if p.node_image == "al2023")},
    ),
    "dcgm-exporter": Row(
        component=DcgmExporter, args=DcgmExporterArgs, own=lambda s: {"pools": s.settings.gpu_pools}
    ),
    "metrics-server": Row(component=MetricsServer, args=MetricsServerArgs),
    "istio-base": Row(component=IstioBase, args=IstioBaseArgs),
    "istiod": Row(component=Istiod, args=IstiodArgs),
    "istio-cni": Row(component=IstioCni, args=IstioCniArgs),
    "ztunnel": Row(component=Ztunnel, args=ZtunnelArgs),
    "kserve-definitions": Row(component=KserveDefinitions, args=KserveDefinitionsArgs),
    "kserve": Row(component=Kserve, args=KserveArgs),
    "kserve-runtimes": Row(component=KserveRuntimes, args=KserveRuntimesArgs),
    "keda": Row(component=Keda, args=KedaArgs),
    "prometheus-adapter": Row(
        component=PrometheusAdapter,
        args=PrometheusAdapterArgs,
        own=lambda s: {"prometheus": prometheus_url(s.settings)},
    ),
    "loki": Row(component=Loki, args=LokiArgs, own=_kept("logs")),
    "tempo": Row(component=Tempo, args=TempoArgs, own=_kept("traces")),
    "otel-gateway": Row(
        component=OtelGateway,
        args=OtelGatewayArgs,
        own=lambda s: {**_sinks(s), **_meshed(s), "tracing": s.settings.tracing},
    ),
    "otel-agent": Row(
        component=OtelAgent,
        args=OtelAgentArgs,
        own=lambda s: {"audit": _audit_stream(s.settings), **_meshed(s)},
    ),
    "envoy-gateway-definitions": Row(component=EnvoyGatewayDefinitions, args=EnvoyGatewayDefinitionsArgs),
    "envoy-gateway": Row(
        component=EnvoyGateway,
        args=EnvoyGatewayArgs,
        own=lambda s: {
            "limits": s.settings.request_limits,
            "traced": s.settings.tracing is not None,
        },
    ),
    "kong": Row(component=Kong, args=KongArgs, own=_meshed),
    "vault": Row(
        component=Vault,
        args=VaultArgs,
        own=lambda s: {
            "region": s.settings.cluster.region,
            "key_alias": s.vault_key,
            "storage_class": s.storage_class,
        },
    ),
    "external-secrets": Row(component=ExternalSecrets, args=ExternalSecretsArgs),
    "cloudnative-pg": Row(component=CloudnativePg, args=CloudnativePgArgs),
    "cloudnative-pg-backups": Row(component=CloudnativePgBackups, args=CloudnativePgBackupsArgs),
    "harbor": Row(
        component=Harbor,
        args=HarborArgs,
        own=lambda s: {
            "host": s.settings.registry.host.partition("/")[0],
            "storage_class": s.storage_class,
        },
    ),
}
