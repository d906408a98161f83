"""The table of tools that the rehearsal runs on: Go modules, binaries, and what they need beside them.

Versions stand in `tools/<name>/go.mod` and nowhere else; `go.sum` beside it pins every byte. Seconds were
measured once, each build alone on two cores; memory is the highest that was seen with two compilers,
rounded up, and a guess for kwok and kserve (2026-11-22). They serve order, parallelism and the estimate that is
shown; a wrong number costs time, never correctness.
"""

from rehearsal.toolchain.definitions_table import DEFINITIONS
from rehearsal.toolchain.tool import Binary, ModuleFile, Tool

_KUBERNETES = "k8s.io/kubernetes"
_COMPONENT_VERSION = "k8s.io/component-base/version"
_KWOK = "sigs.k8s.io/kwok"
_KSERVE = "github.com/kserve/kserve"
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
_PULUMI_KUBERNETES = "github.com/pulumi/pulumi-kubernetes/provider/v4"
_PULUMI_KUBERNETES_MAIN = "cmd/pulumi-resource-kubernetes"
_BUILDKIT = "github.com/moby/buildkit"
_ACTIONLINT = "github.com/rhysd/actionlint"
_KUBE_SCORE = "github.com/zegl/kube-score"
_CRANE = "github.com/google/go-containerregistry"

IMAGE_TOOLS: tuple[Tool, ...] = (
    Tool(
        # BuildKit's own parser and linter: what `docker build` says of a Dockerfile, without building it.
        name="dockerfile-lint",
        module=_BUILDKIT,
        binaries=(Binary(name="dockerfile-lint", package="."),),
        memory_mib=700,
        seconds=98,
    ),
    Tool(
        # The builder itself, for the tests that build the image.
        name="buildkit",
        module=_BUILDKIT,
        binaries=(
            Binary(name="buildctl", package=f"{_BUILDKIT}/cmd/buildctl"),
            Binary(name="buildkitd", package=f"{_BUILDKIT}/cmd/buildkitd"),
        ),
        memory_mib=1500,
        seconds=100,
    ),
)

REGISTRY_TOOLS: tuple[Tool, ...] = (
    Tool(
        # Copies images between registries by their digests, with whatever login Docker has; and is a registry in tests.
        name="crane",
        module=_CRANE,
        binaries=(Binary(name="crane", package=f"{_CRANE}/cmd/crane"),),
        memory_mib=500,
        seconds=30,
    ),
)

LINTERS: tuple[Tool, ...] = (
    Tool(
        # What is wrong with workflows before they run.
        name="actionlint",
        module=_ACTIONLINT,
        binaries=(Binary(name="actionlint", package=f"{_ACTIONLINT}/cmd/actionlint"),),
        memory_mib=300,
        seconds=5,
    ),
    Tool(
        # What is wrong with manifests that any API server would take.
        name="kube-score",
        module=_KUBE_SCORE,
        binaries=(Binary(name="kube-score", package=f"{_KUBE_SCORE}/cmd/kube-score"),),
        memory_mib=700,
        seconds=55,
    ),
)

TOOLS: tuple[Tool, ...] = (
    Tool(
        name="etcd",
        module="go.etcd.io/etcd/server/v3",
        binaries=(Binary(name="etcd", package="go.etcd.io/etcd/server/v3"),),
        memory_mib=500,
        seconds=23,
    ),
    Tool(
        name="kubernetes",
        module=_KUBERNETES,
        binaries=(
            Binary(name="kube-apiserver", package=f"{_KUBERNETES}/cmd/kube-apiserver"),
            Binary(name="kube-controller-manager", package=f"{_KUBERNETES}/cmd/kube-controller-manager"),
            Binary(name="kube-scheduler", package=f"{_KUBERNETES}/cmd/kube-scheduler"),
        ),
        stamps=(
            f"{_COMPONENT_VERSION}.gitVersion={{version}}",
            f"{_COMPONENT_VERSION}.gitMajor={{major}}",
            f"{_COMPONENT_VERSION}.gitMinor={{minor}}",
            f"{_COMPONENT_VERSION}.gitTreeState=clean",
        ),
        memory_mib=2000,
        seconds=270,
    ),
    Tool(
        name="kwok",
        module=_KWOK,
        binaries=(Binary(name="kwok", package=f"{_KWOK}/cmd/kwok"),),
        # The stages say how a simulated node and pod behave; the controller does nothing without them.
        assets=(
            ModuleFile(module=_KWOK, source="kustomize/stage"),
            ModuleFile(module=_KWOK, source="kustomize/rbac"),
        ),
        memory_mib=1200,
        seconds=60,
    ),
    Tool(
        name="kserve",
        module=_KSERVE,
        binaries=(Binary(name="kserve-controller", package="."),),
        # The controller's own main package, but for one line: it has no flag for the address that its
        # webhooks listen on, and takes all of the machine's.
        embedded=(
            ModuleFile(
                module=_KSERVE,
                source="cmd/manager/main.go",
                embedded_as="main.go",
                replacements=(
                    ("Port: options.webhookPort,", 'Host: "127.0.0.1", Port: options.webhookPort,'),
                ),
            ),
        ),
        assets=(
            ModuleFile(module=_KSERVE, source="config/crd/full"),
            ModuleFile(module=_KSERVE, source="config/configmap"),
            ModuleFile(module=_KSERVE, source="config/webhook"),
            ModuleFile(module=_KSERVE, source="config/rbac"),
            ModuleFile(module=_KSERVE, source="charts/kserve-crd"),
            ModuleFile(module=_KSERVE, source="charts/kserve-resources"),
            ModuleFile(module=_KSERVE, source="charts/kserve-runtime-configs"),
        ),
        memory_mib=1500,
        seconds=136,
    ),
    Tool(
        name="pulumi",
        module="github.com/pulumi/pulumi/pkg/v3",
        binaries=(Binary(name="pulumi", package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"),),
        stamps=(f"{_PULUMI_SDK}/go/common/version.Version={{version}}",),
        memory_mib=1000,
        seconds=95,
    ),
    Tool(
        name="pulumi-language-python",
        module=_PULUMI_SDK,
        binaries=(
            Binary(name="pulumi-language-python", package=f"{_PULUMI_SDK}/python/cmd/pulumi-language-python"),
        ),
        stamps=(f"{_PULUMI_SDK}/go/common/version.Version={{version}}",),
        # The language host is the last one that lived inside the sdk module; its scripts must speak the CLI's
        # version of the protocol, so the CLI's go.mod decides. The host looks for them in the folder of its
        # own binary.
        assets=(
            ModuleFile(
                module=_PULUMI_SDK,
                source="python/cmd/pulumi-language-python-exec",
                resolved_by="pulumi",
                beside_binaries=True,
            ),
            ModuleFile(
                module=_PULUMI_SDK,
                source="python/dist/pulumi-analyzer-policy-python",
                resolved_by="pulumi",
                beside_binaries=True,
            ),
        ),
        memory_mib=400,
        seconds=14,
    ),
    Tool(
        name="pulumi-kubernetes",
        module=_PULUMI_KUBERNETES,
        # A test holds this equal to the Python package pulumi-kubernetes, which asks for the plugin by this
        # version.
        released_as="v4.25.0",
        binaries=(Binary(name="pulumi-resource-kubernetes", package="."),),
        stamps=(f"{_PULUMI_KUBERNETES}/pkg/version.Version={{number}}",),
        embedded=(
            ModuleFile(
                module=_PULUMI_KUBERNETES,
                source=f"{_PULUMI_KUBERNETES_MAIN}/schema.json",
                embedded_as="schema-embed.json",
                versioned=True,
            ),
            ModuleFile(
                module=_PULUMI_KUBERNETES,
                source=f"{_PULUMI_KUBERNETES_MAIN}/terraform-mapping.json",
                embedded_as="terraform-mapping-embed.json",
            ),
        ),
        memory_mib=3400,
        seconds=300,
    ),
    *DEFINITIONS,
    *IMAGE_TOOLS,
    *REGISTRY_TOOLS,
    *LINTERS,
)

ALL_TOOLS: tuple[str, ...] = tuple(tool.name for tool in TOOLS)
# What every rehearsal needs; the rest is downloaded when a stack asks for it.
REHEARSAL_TOOLS: tuple[str, ...] = tuple(
    tool.name for tool in TOOLS if tool not in (*DEFINITIONS, *IMAGE_TOOLS, *REGISTRY_TOOLS, *LINTERS)
)
# Not built where the user has a fitting pulumi of their own.
PULUMI_TOOLS: tuple[str, ...] = ("pulumi", "pulumi-language-python", "pulumi-kubernetes")


def tool_named(name: str, tools: tuple[Tool, ...] = TOOLS) -> Tool:
    """The tool of that name.

    :raises KeyError: the table has none.
    """
    for tool in tools:
        if tool.name == name:
            return tool
    raise KeyError(name)
