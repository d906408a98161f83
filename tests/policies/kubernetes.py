"""Cases of rules about pods and models."""

from copy import deepcopy
from typing import Any

from policies.rules.model import Config
from tests.policies.cases import Case, Given, obj, release

SPACE = "llm-prod"
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.example.com/llm/vllm:v1.0@{DIGEST}"
COMMIT = "b25037543e9394b818fdfca67ab2a00ecc7dd641"
GPU = "nvidia.com/gpu"
PROBE = {"httpGet": {"path": "/health", "port": 8000}}
TAINT = {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
CLOSED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = {"runAsNonRoot": True, "runAsUser": 1001}
SERVING: dict[str, Any] = {
    "predictor": {
        "serviceAccountName": "chat",
        "nodeSelector": {"node.kubernetes.io/gpu-type": "A10"},
        "tolerations": [TAINT],
        "terminationGracePeriodSeconds": 150,
        "securityContext": USER,
        "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}],
        "containers": [
            {
                "name": "kserve-container",
                "image": IMAGE,
                "args": [
                    "/opt/model",
                    "--shutdown-timeout=120",
                    "--middleware=vllm_platform_middleware.Middleware",
                    "--disable-uvicorn-access-log",
                ],
                "env": [{"name": "HOME", "value": "/home/vllm"}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 15}}},
                "startupProbe": PROBE,
                "readinessProbe": PROBE,
                "livenessProbe": PROBE,
                "resources": {"limits": {GPU: "1", "cpu": "8"}, "requests": {GPU: "1", "cpu": "4"}},
                "securityContext": CLOSED,
            }
        ],
    }
}
MODEL = obj(
    "serving.kserve.io/v1beta1",
    "InferenceService",
    "chat",
    SPACE,
    labels={
        "vllm-platform.io/model": "chat",
        "vllm-platform.io/tier": "core",
        "vllm-platform.io/revision": COMMIT,
        "vllm-platform.io/track": "stable",
        "app.kubernetes.io/component": "predictor",
    },
    annotations={"serving.kserve.io/autoscalerClass": "external"},
    spec=SERVING,
)
POD = ("chat", "spec", "predictor")
ENGINE = (*POD, "containers", 0)
CARD = "vllm-platform.io/card."
ACCOUNT = obj(
    "v1",
    "ServiceAccount",
    "chat",
    SPACE,
    annotations={
        f"{CARD}quantization": "awq",
        f"{CARD}licence": "Apache-2.0",
        f"{CARD}remote-code": "The weights need it.",
    },
)
CHAT: dict[str, Given] = {"chat": MODEL}
CARDED: dict[str, Given] = {"chat": MODEL, "account": ACCOUNT}


def deployment(pod: dict[str, Any], labels: dict[str, str] | None = None) -> Given:
    template = {"metadata": {"labels": labels or {"app": "tool"}}, "spec": pod}
    return obj("apps/v1", "Deployment", "tool", "tools", spec={"template": template})


def trusting(option: str = "--trust-remote-code") -> Given:
    """A model that runs its authors' code."""
    kind, props = deepcopy(MODEL)
    props["spec"]["predictor"]["containers"][0]["args"].append(option)
    return kind, props


CONTAINER = {
    "name": "tool",
    "image": "registry.example.com/tool:1.0",
    "securityContext": CLOSED,
    "resources": {"limits": {"cpu": "1"}},
    "env": [{"name": "API_TOKEN", "value": "$(TOKEN)"}],
    "args": ["--api-key=$(TOKEN)"],
}
TOOL = {
    "tool": deployment(
        {"containers": [CONTAINER], "securityContext": USER, "tolerations": [], "hostNetwork": False}
    )
}
TOOL_POD = ("tool", "spec", "template", "spec")
TOOL_CONTAINER = (*TOOL_POD, "containers", 0)
PREDICTOR = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-predictor"}
SCALED: dict[str, Given] = {
    "chat": MODEL,
    "scaler": obj("keda.sh/v1alpha1", "ScaledObject", "chat", SPACE, spec={"scaleTargetRef": PREDICTOR}),
}
BUDGETED: dict[str, Given] = {
    "chat": MODEL,
    "budget": obj(
        "policy/v1",
        "PodDisruptionBudget",
        "chat",
        SPACE,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "isvc.chat-predictor"}}},
    ),
}

GPU_CASES = (
    Case(
        rule="gpu-pods-tolerate-the-taint",
        keeps=CHAT,
        at=(*POD, "tolerations"),
        wrong=([], [{**TAINT, "value": "cpu"}], [{**TAINT, "effect": "NoExecute"}]),
        absent=True,
        says="does not tolerate",
    ),
    Case(
        rule="gpu-pods-select-their-nodes",
        keeps=CHAT,
        at=(*POD, "nodeSelector"),
        wrong=({}, {"kubernetes.io/os": "linux"}),
        absent=True,
        says="any node that has one",
    ),
    Case(
        rule="gpu-request-is-the-limit",
        keeps=CHAT,
        at=(*ENGINE, "resources", "requests", GPU),
        wrong=("2", 0.5),
        says="is limited to 1",
    ),
    Case(
        rule="gpu-request-is-the-limit",
        keeps=CHAT,
        at=(*ENGINE, "resources", "limits", GPU),
        absent=True,
        says="without a limit",
    ),
    Case(
        rule="gpus-are-for-models",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "resources", "limits"),
        wrong=({GPU: 1}, {GPU: "8"}),
        says="asks for a GPU",
    ),
    Case(
        rule="gpus-are-for-models",
        keeps={"chart": release("loki", {"write": {"resources": {"limits": {GPU: 0}}}})},
        at=("chart", "values", "write", "resources", "limits", GPU),
        wrong=(1, "2"),
        says="write.resources.limits",
    ),
    Case(
        rule="only-gpu-pods-tolerate-the-taint",
        keeps=TOOL,
        at=(*TOOL_POD, "tolerations"),
        wrong=([TAINT], [{"operator": "Exists"}], [{"key": "dedicated", "operator": "Exists"}]),
        says="may land on GPU nodes",
    ),
    Case(
        rule="gpu-metrics-are-collected",
        keeps={"chat": MODEL, "dcgm": release("dcgm-exporter", {})},
        at=("dcgm", "chart"),
        wrong=("loki",),
        absent=True,
        says="no DCGM exporter",
    ),
)
IMAGE_CASES = (
    Case(
        rule="model-images-by-digest",
        keeps=CHAT,
        at=(*ENGINE, "image"),
        wrong=("registry.example.com/llm/vllm:v1.0",),
        absent=True,
        says="no digest",
    ),
    Case(
        rule="images-have-a-version",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "image"),
        wrong=("tool", "registry.example.com:5000/tool", "tool:latest"),
        absent=True,
        says="of whatever version",
    ),
    Case(
        rule="images-from-allowed-registries",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "image"),
        wrong=("tool:1.0", "registry.example.com.evil.org/tool:1.0", "quay.io/tool:1.0"),
        says="only registry.example.com may be used",
        config=Config(registries=("registry.example.com",)),
    ),
    Case(
        rule="pods-run-as-non-root",
        keeps=TOOL,
        at=(*TOOL_POD, "securityContext"),
        wrong=({}, {"runAsNonRoot": False}, {"runAsNonRoot": True, "runAsUser": 0}),
        absent=True,
        says="container tool of tool",
    ),
    Case(
        rule="root-file-systems-are-read-only",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "securityContext", "readOnlyRootFilesystem"),
        wrong=(False,),
        absent=True,
        says="can be written",
    ),
    Case(
        rule="pods-keep-to-themselves",
        keeps=TOOL,
        at=(*TOOL_POD, "hostNetwork"),
        wrong=(True,),
        says="sets hostNetwork",
    ),
    Case(
        rule="pods-keep-to-themselves",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "securityContext", "allowPrivilegeEscalation"),
        wrong=(True,),
        absent=True,
        says="may gain rights",
    ),
)
MODEL_CASES = (
    Case(
        rule="core-models-are-quantized",
        keeps=CARDED,
        at=("account", "metadata", "annotations", f"{CARD}quantization"),
        wrong=("none",),
        absent=True,
        says="the core model chat",
    ),
    Case(
        rule="weights-are-pinned",
        keeps=CHAT,
        at=("chat", "metadata", "labels", "vllm-platform.io/revision"),
        wrong=("main", COMMIT[:12]),
        absent=True,
        says="the model chat names",
    ),
    Case(
        rule="licences-are-allowed",
        keeps=CARDED,
        at=("account", "metadata", "annotations", f"{CARD}licence"),
        wrong=("CC-BY-NC-4.0",),
        absent=True,
        says="weights",
    ),
    Case(
        rule="licences-are-allowed",
        keeps=CARDED,
        at=("account", "metadata", "annotations", f"{CARD}licence"),
        wrong=("MIT",),
        absent=True,
        says="weights",
        config=Config(licences=("Apache-2.0",)),
    ),
    Case(
        rule="remote-code-is-justified",
        keeps={"chat": trusting(), "account": ACCOUNT},
        at=("account", "metadata", "annotations", f"{CARD}remote-code"),
        wrong=("", "  "),
        absent=True,
        says="nobody says why",
    ),
    Case(
        rule="remote-code-is-justified",
        keeps={"chat": trusting("--trust_remote_code=true"), "account": ACCOUNT},
        at=("account", "metadata", "annotations", f"{CARD}remote-code"),
        wrong=("",),
        absent=True,
        says="nobody says why",
    ),
)
SERVING_CASES = (
    Case(
        rule="models-have-one-scaler",
        keeps=SCALED,
        at=("scaler", "spec", "scaleTargetRef", "name"),
        wrong=("other-predictor",),
        absent=True,
        says="has 0 scalers",
    ),
    Case(
        rule="models-have-one-scaler",
        keeps=SCALED,
        at=("scaler", "spec", "scaleTargetRef", "kind"),
        wrong=("InferenceService",),
        says="can not be scaled",
    ),
    Case(
        rule="models-have-one-scaler",
        keeps=SCALED,
        at=("chat", "metadata", "annotations", "serving.kserve.io/autoscalerClass"),
        wrong=("none", "hpa"),
        absent=True,
        says="the model chat",
    ),
    Case(
        rule="models-have-a-disruption-budget",
        keeps=BUDGETED,
        at=("budget", "spec", "selector"),
        wrong=({"matchLabels": {"app": "chat"}},),
        absent=True,
        says="no PodDisruptionBudget finds",
    ),
    Case(
        rule="models-have-a-disruption-budget",
        keeps=BUDGETED,
        at=("budget", "spec", "maxUnavailable"),
        wrong=(0, "0%"),
        says="never lets a pod",
    ),
    Case(
        rule="models-are-probed",
        keeps=CHAT,
        at=(*ENGINE, "startupProbe"),
        wrong=({},),
        absent=True,
        says="no startupProbe",
    ),
    Case(
        rule="models-drain-before-they-end",
        keeps=CHAT,
        at=(*POD, "terminationGracePeriodSeconds"),
        wrong=(30, 134),
        absent=True,
        says="and is killed after",
    ),
    Case(
        rule="models-drain-before-they-end",
        keeps=CHAT,
        at=(*ENGINE, "lifecycle"),
        wrong=({},),
        absent=True,
        says="no preStop",
    ),
    Case(
        rule="core-models-spread-over-zones",
        keeps=CHAT,
        at=(*POD, "topologySpreadConstraints"),
        wrong=([], [{"topologyKey": "kubernetes.io/hostname"}]),
        absent=True,
        says="in one zone",
    ),
)
CASES = (*GPU_CASES, *IMAGE_CASES, *MODEL_CASES, *SERVING_CASES)
