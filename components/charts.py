"""The one table of Helm charts: where each is published, its version, and what holds it there.

No other module names a version of a chart. A new version is a change of this file, reviewed like every other.
Versions are the newest that were seen published on 2026-08-22; a test holds the ones that are installed in tests
equal to what the tests install.
"""

from dataclasses import dataclass
from typing import Final

OCI: Final = "oci://"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `repository` is an address of an index, or begins with `oci://`. `why_held`: what keeps a newer one out.

    app: version of what it installs, where that is another number than the chart's.
    """

    name: str
    repository: str
    version: str
    why_held: str = ""
    app: str = ""

    @property
    def reference(self) -> str:
        """What Helm is told as the chart: the whole address in an OCI registry, else the name in the repository."""
        return f"{self.repository}/{self.name}" if self.repository.startswith(OCI) else self.name


ISTIO_VERSION: Final = "1.30.3"
_ISTIO_REPOSITORY: Final = "oci://registry.istio.io/release/charts"
KSERVE_VERSION: Final = "v0.20.0"
_KSERVE_REPOSITORY: Final = "oci://ghcr.io/kserve/charts"
_KSERVE_HELD: Final = "0.21 was seen as a Python package only: neither its source nor its charts"
VLLM_TAG: Final = "v0.32.0"
"""Not a chart's: the engine of KServe's ready-made runtime, whose chart takes `latest`. The platform's own image has it too."""
ENVOY_GATEWAY_VERSION: Final = "v1.9.1"
_ENVOY_REPOSITORY: Final = "oci://docker.io/envoyproxy"
KARPENTER_VERSION: Final = "1.14.1"
_KARPENTER_REPOSITORY: Final = "oci://public.ecr.aws/karpenter"
_KARPENTER_HELD: Final = (
    "the newest that was seen published as a chart (August 2026); of 1.15 only the source was"
)
_NVIDIA_DCGM: Final = "https://nvidia.github.io/dcgm-exporter/helm-charts"
_PROMETHEUS_REPOSITORY: Final = "https://prometheus-community.github.io/helm-charts"
_GRAFANA_REPOSITORY: Final = "https://grafana-community.github.io/helm-charts"
_CNPG_REPOSITORY: Final = "https://cloudnative-pg.github.io/charts"

CERT_MANAGER: Final = Chart(
    name="cert-manager",
    repository="https://charts.jetstack.io",
    version="v1.21.1",
)
GATEWAY_CRDS: Final = Chart(
    name="gateway-crds-helm",
    repository=_ENVOY_REPOSITORY,
    version=ENVOY_GATEWAY_VERSION,
)
ENVOY_GATEWAY: Final = Chart(
    name="gateway-helm",
    repository=_ENVOY_REPOSITORY,
    version=ENVOY_GATEWAY_VERSION,
)
NVIDIA_DEVICE_PLUGIN: Final = Chart(
    name="nvidia-device-plugin",
    repository="https://nvidia.github.io/k8s-device-plugin",
    version="0.20.0",
)
DCGM_EXPORTER: Final = Chart(name="dcgm-exporter", repository=_NVIDIA_DCGM, version="4.8.2")
METRICS_SERVER: Final = Chart(
    name="metrics-server",
    repository="https://kubernetes-sigs.github.io/metrics-server",
    version="3.13.0",
    app="0.8.0",
)
ISTIO_BASE: Final = Chart(name="base", repository=_ISTIO_REPOSITORY, version=ISTIO_VERSION)
ISTIOD: Final = Chart(name="istiod", repository=_ISTIO_REPOSITORY, version=ISTIO_VERSION)
ISTIO_CNI: Final = Chart(name="cni", repository=_ISTIO_REPOSITORY, version=ISTIO_VERSION)
ZTUNNEL: Final = Chart(name="ztunnel", repository=_ISTIO_REPOSITORY, version=ISTIO_VERSION)
KSERVE_CRD: Final = Chart(
    name="kserve-crd", repository=_KSERVE_REPOSITORY, version=KSERVE_VERSION, why_held=_KSERVE_HELD
)
KSERVE: Final = Chart(
    name="kserve-resources", repository=_KSERVE_REPOSITORY, version=KSERVE_VERSION, why_held=_KSERVE_HELD
)
KSERVE_RUNTIMES: Final = Chart(
    name="kserve-runtime-configs",
    repository=_KSERVE_REPOSITORY,
    version=KSERVE_VERSION,
    why_held=_KSERVE_HELD,
)
KEDA: Final = Chart(name="keda", repository="https://kedacore.github.io/charts", version="2.20.2")
PROMETHEUS_CRDS: Final = Chart(
    name="prometheus-operator-crds", repository=_PROMETHEUS_REPOSITORY, version="31.0.1", app="v0.93.1"
)
PROMETHEUS: Final = Chart(
    name="kube-prometheus-stack", repository=_PROMETHEUS_REPOSITORY, version="88.5.3", app="v0.93.1"
)
PROMETHEUS_ADAPTER: Final = Chart(
    name="prometheus-adapter", repository=_PROMETHEUS_REPOSITORY, version="5.3.0", app="v0.12.0"
)
LOKI: Final = Chart(name="loki", repository=_GRAFANA_REPOSITORY, version="18.11.0", app="3.7.6")
TEMPO: Final = Chart(
    name="tempo",
    repository=_GRAFANA_REPOSITORY,
    version="2.2.4",
    why_held="the chart of one binary; `tempo-distributed` from 3.0 on needs Kafka",
    app="2.10.8",
)
OTEL_COLLECTOR: Final = Chart(
    name="opentelemetry-collector",
    repository="https://open-telemetry.github.io/opentelemetry-helm-charts",
    version="0.170.0",
    app="0.158.0",
)
KONG: Final = Chart(
    name="kong",
    repository="https://charts.konghq.com",
    version="3.4.1",
    why_held="its image stays at 3.9: from 3.10 on Kong is published with a licence only",
    app="3.9",
)
VAULT: Final = Chart(
    name="vault", repository="https://helm.releases.hashicorp.com", version="0.34.1", app="2.0.4"
)
EXTERNAL_SECRETS: Final = Chart(
    name="external-secrets", repository="https://charts.external-secrets.io", version="2.9.0"
)
CLOUDNATIVE_PG: Final = Chart(
    name="cloudnative-pg", repository=_CNPG_REPOSITORY, version="0.29.0", app="1.30.0"
)
BARMAN_CLOUD: Final = Chart(
    name="plugin-barman-cloud", repository=_CNPG_REPOSITORY, version="0.7.0", app="v0.13.0"
)
HARBOR: Final = Chart(name="harbor", repository="https://helm.goharbor.io", version="1.19.1", app="2.15.1")
KARPENTER: Final = Chart(
    name="karpenter", repository=_KARPENTER_REPOSITORY, version=KARPENTER_VERSION, why_held=_KARPENTER_HELD
)
KARPENTER_CRD: Final = Chart(
    name="karpenter-crd",
    repository=_KARPENTER_REPOSITORY,
    version=KARPENTER_VERSION,
    why_held=_KARPENTER_HELD,
)
LOAD_BALANCER_CONTROLLER: Final = Chart(
    name="aws-load-balancer-controller", repository="https://aws.github.io/eks-charts", version="3.5.0"
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two products that must fit. tested: what upstream tests together, with the source; `here`: what this table installs."""

    first: str
    second: str
    tested: str
    here: str
    source: str

    @property
    def as_tested(self) -> bool:
        """Whether upstream tests exactly these two."""
        return self.tested == self.here


_KSERVE_SOURCE: Final = "kserve v0.20.0, kserve-deps.env"
PAIRS: Final[tuple[Pair, ...]] = (
    Pair(
        first="Envoy Gateway",
        second="Gateway API",
        tested="v1.9.1 with v1.6.1",
        here=f"{ENVOY_GATEWAY_VERSION} with v1.6.1",
        source="gateway v1.9.1, charts/gateway-crds-helm (one bundle, of one release)",
    ),
    Pair(
        first="kube-prometheus-stack",
        second="prometheus-operator-crds",
        tested="operator v0.93.1 with kinds of v0.93.1",
        here=f"operator {PROMETHEUS.app} with kinds of {PROMETHEUS_CRDS.app}",
        source="both charts' appVersion",
    ),
    Pair(
        first="KServe",
        second="cert-manager",
        tested="v0.20.0 with v1.17.0",
        here=f"{KSERVE_VERSION} with {CERT_MANAGER.version}",
        source=_KSERVE_SOURCE,
    ),
    Pair(
        first="KServe",
        second="KEDA",
        tested="v0.20.0 with 2.18.0",
        here=f"{KSERVE_VERSION} with {KEDA.version}",
        source=_KSERVE_SOURCE,
    ),
    Pair(
        first="KServe",
        second="Istio",
        tested="v0.20.0 with 1.27.1",
        here=f"{KSERVE_VERSION} with {ISTIO_VERSION}",
        source=_KSERVE_SOURCE,
    ),
    Pair(
        first="KServe",
        second="prometheus-adapter",
        tested="v0.20.0 with chart 5.3.0",
        here=f"{KSERVE_VERSION} with chart {PROMETHEUS_ADAPTER.version}",
        source=_KSERVE_SOURCE,
    ),
    Pair(
        first="Istio",
        second="Gateway API",
        tested="1.30.3 with v1.5.1",
        here=f"{ISTIO_VERSION} with v1.6.1",
        source="istio 1.30.3, go.mod",
    ),
    Pair(
        first="Karpenter",
        second="Kubernetes",
        tested="from 1.13 on with 1.36",
        here="from 1.13 on with 1.36",
        source="Karpenter's compatibility table",
    ),
)
"""Where the two differ, newer releases of a stable API are relied on: nothing that upstream says it tests."""
