"""Which chart each unit of the catalogue installs: known before anything is deployed."""

from typing import Final

from components import charts
from components.charts import Chart

CHART_OF: Final[dict[str, Chart]] = {
    "gateway-api": charts.GATEWAY_CRDS,
    "prometheus-definitions": charts.PROMETHEUS_CRDS,
    "prometheus": charts.PROMETHEUS,
    "cert-manager": charts.CERT_MANAGER,
    "nvidia-device-plugin": charts.NVIDIA_DEVICE_PLUGIN,
    "dcgm-exporter": charts.DCGM_EXPORTER,
    "metrics-server": charts.METRICS_SERVER,
    "istio-base": charts.ISTIO_BASE,
    "istiod": charts.ISTIOD,
    "istio-cni": charts.ISTIO_CNI,
    "ztunnel": charts.ZTUNNEL,
    "kserve-definitions": charts.KSERVE_CRD,
    "kserve": charts.KSERVE,
    "kserve-runtimes": charts.KSERVE_RUNTIMES,
    "keda": charts.KEDA,
    "prometheus-adapter": charts.PROMETHEUS_ADAPTER,
    "loki": charts.LOKI,
    "tempo": charts.TEMPO,
    "otel-gateway": charts.OTEL_COLLECTOR,
    "otel-agent": charts.OTEL_COLLECTOR,
    "envoy-gateway-definitions": charts.GATEWAY_CRDS,
    "envoy-gateway": charts.ENVOY_GATEWAY,
    "kong": charts.KONG,
    "vault": charts.VAULT,
    "external-secrets": charts.EXTERNAL_SECRETS,
    "cloudnative-pg": charts.CLOUDNATIVE_PG,
    "cloudnative-pg-backups": charts.BARMAN_CLOUD,
    "harbor": charts.HARBOR,
    "load-balancer-controller": charts.LOAD_BALANCER_CONTROLLER,
    "karpenter-definitions": charts.KARPENTER_CRD,
    "karpenter": charts.KARPENTER,
}
"""Of every unit; a test compares with what the program asks for."""
