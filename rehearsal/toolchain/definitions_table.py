"""Go modules of the platform's add-ons: their kinds, the Helm charts that a module carries whole, and programs.

A rehearsal takes from them what its stack needs; the tests install the charts, check every object against the kinds and run
the programs.
"""

from rehearsal.toolchain.tool import Binary, ModuleFile, Tool

_ALERTMANAGER = "github.com/prometheus/alertmanager"
_ENVOY_GATEWAY = "github.com/envoyproxy/gateway"
_KEDA = "github.com/kedacore/keda/v2"
_KEDA_PARTS = (
    *("certificates", "common", "eventemitter", "eventreason", "fallback", "k8s", "metricscollector"),
    *("metricsservice", "provider", "status", "util"),
)
_KEDA_SCALERS = (
    *("scaler.go", "cron_scaler.go"),
    *("authentication", "aws", "azure", "externalscaler", "gcp", "scalersconfig"),
)
_OTELCOL = "go.opentelemetry.io/collector/otelcol"
_PROMETHEUS = "github.com/prometheus/prometheus"
_RATELIMIT = "github.com/envoyproxy/ratelimit"
_EXTERNAL_SECRETS = "github.com/external-secrets/external-secrets"
_VAULT = "github.com/hashicorp/vault"
_VAULT_LOGIN = "github.com/hashicorp/vault-plugin-auth-kubernetes"


def _data(name: str, module: str, *sources: str, seconds: int = 5) -> Tool:
    assets = tuple(ModuleFile(module=module, source=source) for source in sources)
    return Tool(name=name, module=module, assets=assets, memory_mib=50, seconds=seconds)


def _keda(source: str, embedded_as: str = "", replacements: tuple[tuple[str, str], ...] = ()) -> ModuleFile:
    """A part of KEDA's module: in the copy that is built, or where `embedded_as` says."""
    return ModuleFile(
        module=_KEDA,
        source=source,
        resolved_by="keda/upstream",
        embedded_as=embedded_as or f"upstream/{source}",
        replacements=replacements,
    )


def _keda_main(part: str, program: str, *replacements: tuple[str, str]) -> ModuleFile:
    """The main package of one of KEDA's programs, in a folder of the name that the program gets."""
    return _keda(f"cmd/{part}/main.go", f"{program}/main.go", replacements)


def _external_secrets(source: str, *replacements: tuple[str, str]) -> ModuleFile:
    return ModuleFile(
        module=_EXTERNAL_SECRETS,
        source=source,
        resolved_by="external-secrets-controller/upstream",
        embedded_as=f"upstream/{source}",
        replacements=replacements,
    )


DEFINITIONS: tuple[Tool, ...] = (
    Tool(
        # Of the version that the chart installs. Without its pages: what they are built of is not in the module.
        name="alertmanager",
        module=_ALERTMANAGER,
        binaries=(
            Binary(name="alertmanager", package="."),
            Binary(name="amtool", package=f"{_ALERTMANAGER}/cmd/amtool"),
        ),
        embedded=(
            ModuleFile(
                module=_ALERTMANAGER,
                source="cmd/alertmanager/main.go",
                embedded_as="main.go",
                replacements=((f'"{_ALERTMANAGER}/app"', '"vllm-platform/tools/alertmanager/app"'),),
            ),
            ModuleFile(module=_ALERTMANAGER, source="app", embedded_as="app"),
            ModuleFile(
                module=_ALERTMANAGER,
                source="app/app.go",
                embedded_as="app/app.go",
                replacements=((f'\t"{_ALERTMANAGER}/ui"\n', ""), ("\tui.Register(router)\n", "")),
            ),
        ),
        memory_mib=1000,
        seconds=90,
    ),
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
    Tool(
        # The last release of one module: of later ones no proxy has the parts. Its kinds are those of the chart.
        name="external-secrets-controller",
        module=_EXTERNAL_SECRETS,
        binaries=(Binary(name="external-secrets", package=_EXTERNAL_SECRETS),),
        embedded=(
            *(_external_secrets(source) for source in ("go.mod", "main.go", "apis", "cmd", "pkg")),
            # Of three dozen stores, with a client of each cloud, the one that is used; and no generator.
            _external_secrets(
                "pkg/provider/register/register.go",
                ("import (", f'import _ "{_EXTERNAL_SECRETS}/pkg/provider/vault"\n\n/*'),
                ('yandex/lockbox"\n)', 'yandex/lockbox"\n*/'),
            ),
            _external_secrets(
                "pkg/generator/register/register.go", ("import (", "/*"), ('/webhook"\n)', '/webhook"\n*/')
            ),
        ),
        memory_mib=1500,
        seconds=140,
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
    Tool(
        name="keda",
        module=_KEDA,
        binaries=tuple(
            Binary(name=name, package=f"./{name}")
            for name in ("keda-operator", "keda-adapter", "keda-webhooks")
        ),
        embedded=(
            *(_keda(source) for source in ("go.mod", "apis", "controllers", "pkg/scaling", "version")),
            *(_keda(f"pkg/{name}") for name in _KEDA_PARTS),
            # Of six dozen scalers, with a client of each queue and database, the two that are used.
            *(_keda(f"pkg/scalers/{name}") for name in _KEDA_SCALERS),
            _keda(
                # A name for this word stands in the file of another scaler.
                "pkg/scalers/prometheus_scaler.go",
                replacements=(("Type: externalMetricType", 'Type: "External"'),),
            ),
            _keda(
                "pkg/scaling/scalers_builder.go",
                replacements=(
                    ('\tcase "activemq":', '\t/* case "activemq":'),
                    ('\tcase "cron":', '\t*/\n\tcase "cron":'),
                    ('\tcase "datadog":', '\t/* case "datadog":'),
                    ('\tcase "prometheus":', '\t*/\n\tcase "prometheus":'),
                    ('\tcase "pulsar":', '\t/* case "pulsar":'),
                    ("NewTemporalScaler(ctx, config)\n", "NewTemporalScaler(ctx, config)\n\t*/\n"),
                ),
            ),
            # Their own main packages, but for a line of two: metrics and webhooks listen on all of the machine's addresses.
            _keda_main("operator", "keda-operator"),
            _keda_main(
                "adapter",
                "keda-adapter",
                (
                    'fmt.Sprintf(":%v", metricsAPIServerPort)',
                    'fmt.Sprintf("127.0.0.1:%v", metricsAPIServerPort)',
                ),
            ),
            _keda_main(
                "webhooks",
                "keda-webhooks",
                ("Port:    webhooksPort,", 'Host: "127.0.0.1", Port: webhooksPort,'),
            ),
        ),
        assets=tuple(
            ModuleFile(module=_KEDA, source=f"config/{part}", resolved_by="keda/upstream")
            for part in ("crd/bases", "rbac", "metrics-server", "webhooks")
        ),
        # By the size of what is compiled: half of what took 520 s and 2,800 MiB.
        memory_mib=2000,
        seconds=280,
    ),
    _data("kong", "github.com/kong/kubernetes-configuration", "config/crd/ingress-controller"),
    Tool(
        # With the parts that the program's configurations name, and no others.
        name="otelcol",
        module=_OTELCOL,
        binaries=(Binary(name="otelcol", package="."),),
        memory_mib=1500,
        seconds=190,
    ),
    Tool(
        name="prometheus",
        module=_PROMETHEUS,
        binaries=(
            Binary(name="prometheus", package=f"{_PROMETHEUS}/cmd/prometheus"),
            Binary(name="promtool", package=f"{_PROMETHEUS}/cmd/promtool"),
        ),
        # Of two dozen ways to find targets, with a client of each cloud, only the one that is used.
        tags=("remove_all_sd", "enable_kubernetes_sd"),
        memory_mib=2000,
        seconds=200,
    ),
    _data(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
    ),
    Tool(
        # Of the commit that Envoy Gateway itself is built with; its program has the name of its package.
        name="ratelimit",
        module=_RATELIMIT,
        binaries=(Binary(name="ratelimit", package=f"{_RATELIMIT}/src/service_cmd"),),
        memory_mib=400,
        seconds=28,
    ),
    Tool(
        # Vault itself and, as a plugin, the login of Kubernetes accounts, which a small Vault is built without.
        name="vault",
        module=_VAULT,
        binaries=(
            Binary(name="vault", package=_VAULT),
            Binary(
                name="vault-plugin-auth-kubernetes",
                package=f"{_VAULT_LOGIN}/cmd/vault-plugin-auth-kubernetes",
            ),
        ),
        tags=("minimal",),
        memory_mib=2500,
        seconds=330,
    ),
)
