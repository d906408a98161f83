"""Go modules of the platform's add-ons: their kinds, the Helm charts that a module carries whole, a controller.

A rehearsal takes from them what its stack needs; the tests install the charts, check every object against the kinds and run
the controller.
"""

from rehearsal.toolchain.tool import Binary, ModuleFile, Tool

_ENVOY_GATEWAY = "github.com/envoyproxy/gateway"


def _data(name: str, module: str, *sources: str, seconds: int = 5) -> Tool:
    assets = tuple(ModuleFile(module=module, source=source) for source in sources)
    return Tool(name=name, module=module, assets=assets, memory_mib=50, seconds=seconds)


DEFINITIONS: tuple[Tool, ...] = (
    _data(
        "cert-manager", "github.com/cert-manager/cert-manager", "deploy/crds", "deploy/charts/cert-manager"
    ),
    _data("cloudnative-pg", "github.com/cloudnative-pg/cloudnative-pg", "config/crd/bases"),
    _data("cloudnative-pg-backups", "github.com/cloudnative-pg/plugin-barman-cloud", "config/crd/bases"),
    Tool(
        name="envoy-gateway",
        module=_ENVOY_GATEWAY,
        binaries=(Binary(name="envoy-gateway", package=f"{_ENVOY_GATEWAY}/cmd/envoy-gateway"),),
        assets=(
            ModuleFile(module=_ENVOY_GATEWAY, source="charts/gateway-crds-helm"),
            ModuleFile(module=_ENVOY_GATEWAY, source="charts/gateway-helm"),
        ),
        memory_mib=2100,
        seconds=205,
    ),
    _data(
        "external-secrets",
        "github.com/external-secrets/external-secrets",
        "config/crds/bases",
        "deploy/charts/external-secrets",
        seconds=10,
    ),
    _data("gateway-api", "sigs.k8s.io/gateway-api", "config/crd/standard"),
    _data("istio", "istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"),
    _data(
        "karpenter",
        "github.com/aws/karpenter-provider-aws",
        "pkg/apis/crds",
        "charts/karpenter",
        "charts/karpenter-crd",
    ),
    _data("keda", "github.com/kedacore/keda/v2", "config/crd/bases"),
    _data("kong", "github.com/kong/kubernetes-configuration", "config/crd/ingress-controller"),
    _data(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
    ),
)
