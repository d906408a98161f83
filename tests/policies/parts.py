"""Cases of rules about pods of a model beside its predictor's own, and of a model that a runtime serves."""

from copy import deepcopy
from typing import Any

from policies.rules.model import Config
from tests.policies.cases import Case, Given
from tests.policies.kubernetes import (
    ACCOUNT,
    CLOSED,
    CONTAINER,
    GPU,
    IMAGE,
    MODEL,
    SPACE,
    TAINT,
    TOOL,
    USER,
)
from tests.policies.platform import MESHED, WALLED

OURS = Config(registries=("registry.example.com",))
POD: dict[str, Any] = {
    "nodeSelector": {"node.kubernetes.io/gpu-type": "A10"},
    "tolerations": [TAINT],
    "securityContext": USER,
    "hostNetwork": False,
    "containers": [
        {
            **CONTAINER,
            "image": IMAGE,
            "securityContext": {**CLOSED, "privileged": False},
            "resources": {"limits": {GPU: "1"}, "requests": {GPU: "1"}},
        }
    ],
}
LIGHT: dict[str, Any] = {
    "securityContext": USER,
    "tolerations": [],
    "containers": [{**CONTAINER, "image": IMAGE, "resources": {"limits": {"cpu": "1"}}}],
}


def serving(**parts: object) -> dict[str, Given]:
    """A model with more parts. `worker`: of its predictor."""
    kind, props = deepcopy(MODEL)
    if worker := parts.pop("worker", None):
        props["spec"]["predictor"]["workerSpec"] = deepcopy(worker)
    props["spec"].update({part: deepcopy(spec) for part, spec in parts.items()})
    return {"chat": (kind, props)}


def run_by_a_runtime() -> Given:
    """A model whose container is what a runtime of KServe's makes of it."""
    kind, props = deepcopy(MODEL)
    predictor = props["spec"]["predictor"]
    (engine,) = predictor.pop("containers")
    predictor["model"] = {"modelFormat": {"name": "huggingface"}, **engine}
    return kind, props


def labelled() -> dict[str, Given]:
    """A model in the mesh that says so of its own pods."""
    kind, props = deepcopy(MODEL)
    props["spec"]["predictor"]["labels"] = {"istio.io/dataplane-mode": "ambient"}
    return {**MESHED, "chat": (kind, props)}


def walled_in(namespace: str) -> dict[str, Given]:
    """A tool beside a policy of its namespace."""
    kind, props = deepcopy(TOOL["tool"])
    props["metadata"]["namespace"] = namespace
    return {"tool": (kind, props), "wall": WALLED["wall"]}


PARTED = serving(worker=POD, transformer=POD, explainer=POD)
PLAIN = serving(transformer=LIGHT)
RUN: dict[str, Given] = {"chat": run_by_a_runtime(), "account": ACCOUNT}
RUNTIME = ("chat", "spec", "predictor", "model")
WORKER = ("chat", "spec", "predictor", "workerSpec")
TRANSFORMER = ("chat", "spec", "transformer")
EXPLAINER = ("chat", "spec", "explainer")
FIRST = ("containers", 0)
MESH_LABEL = "istio.io/dataplane-mode"

CASES = (
    Case(
        rule="gpu-pods-tolerate-the-taint",
        keeps=PARTED,
        at=(*TRANSFORMER, "tolerations"),
        wrong=([],),
        absent=True,
        says="InferenceService chat (transformer) asks for a GPU",
    ),
    Case(
        rule="gpu-pods-select-their-nodes",
        keeps=PARTED,
        at=(*WORKER, "nodeSelector"),
        wrong=({},),
        absent=True,
        says="InferenceService chat (worker) asks for a GPU",
    ),
    Case(
        rule="gpu-request-is-the-limit",
        keeps=PARTED,
        at=(*EXPLAINER, *FIRST, "resources", "requests", GPU),
        wrong=("4",),
        says="container tool of chat (explainer) requests 4 GPUs",
    ),
    Case(
        rule="only-gpu-pods-tolerate-the-taint",
        keeps=PLAIN,
        at=(*TRANSFORMER, "tolerations"),
        wrong=([TAINT],),
        says="InferenceService chat (transformer) may land on GPU nodes",
    ),
    Case(
        rule="model-images-by-digest",
        keeps=PARTED,
        at=(*EXPLAINER, *FIRST, "image"),
        wrong=("registry.example.com/llm/tool:1.0",),
        absent=True,
        says="no digest",
    ),
    Case(
        rule="model-images-by-digest",
        keeps=RUN,
        at=(*RUNTIME, "image"),
        wrong=("registry.example.com/llm/vllm:v1.0",),
        absent=True,
        says="no digest",
    ),
    Case(
        rule="images-have-a-version",
        keeps=PARTED,
        at=(*WORKER, *FIRST, "image"),
        wrong=("registry.example.com/llm/tool:latest",),
        absent=True,
        says="container tool of chat (worker)",
    ),
    Case(
        rule="images-from-allowed-registries",
        keeps=PARTED,
        at=(*TRANSFORMER, *FIRST, "image"),
        wrong=("quay.io/tool:1.0",),
        says="container tool of chat (transformer) runs quay.io/tool:1.0",
        config=OURS,
    ),
    Case(
        rule="images-from-allowed-registries",
        keeps=RUN,
        at=(*RUNTIME, "image"),
        wrong=("quay.io/vllm:1.0",),
        says="container kserve-container of chat runs quay.io/vllm:1.0",
        config=OURS,
    ),
    Case(
        rule="pods-run-as-non-root",
        keeps=PARTED,
        at=(*EXPLAINER, "securityContext"),
        wrong=({"runAsNonRoot": False},),
        absent=True,
        says="container tool of chat (explainer) may run as root",
    ),
    Case(
        rule="root-file-systems-are-read-only",
        keeps=PARTED,
        at=(*WORKER, *FIRST, "securityContext", "readOnlyRootFilesystem"),
        wrong=(False,),
        absent=True,
        says="container tool of chat (worker) has a root file system that can be written",
    ),
    Case(
        rule="pods-keep-to-themselves",
        keeps=PARTED,
        at=(*TRANSFORMER, "hostNetwork"),
        wrong=(True,),
        says="InferenceService chat (transformer) sets hostNetwork",
    ),
    Case(
        rule="pods-keep-to-themselves",
        keeps=PARTED,
        at=(*WORKER, *FIRST, "securityContext", "privileged"),
        wrong=(True,),
        says="container tool of chat (worker) is privileged",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=PARTED,
        at=(*TRANSFORMER, *FIRST, "env", 0, "value"),
        wrong=("hunter2",),
        says="container tool of chat (transformer) has a secret in the variable API_TOKEN",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=RUN,
        at=(*RUNTIME, "env", 0),
        wrong=({"name": "API_KEY", "value": "hunter2"},),
        says="container kserve-container of chat has a secret in the variable API_KEY",
    ),
    Case(
        rule="remote-code-is-justified",
        keeps={
            "chat": RUN["chat"],
            "account": (ACCOUNT[0], {"metadata": {"name": "chat", "namespace": SPACE}}),
        },
        at=(*RUNTIME, "args", 0),
        wrong=("--trust-remote-code",),
        says="nobody says why",
    ),
    Case(
        rule="models-are-probed",
        keeps=RUN,
        at=(*RUNTIME, "startupProbe"),
        wrong=({},),
        absent=True,
        says="no startupProbe",
    ),
    Case(
        rule="models-are-in-the-mesh",
        keeps=labelled(),
        at=("chat", "spec", "predictor", "labels", MESH_LABEL),
        wrong=("none",),
        says="the pods of the model chat are taken out of the mesh",
    ),
    Case(
        rule="models-are-in-the-mesh",
        keeps={**labelled(), **serving(transformer={**LIGHT, "labels": {MESH_LABEL: "ambient"}})},
        at=(*TRANSFORMER, "labels", MESH_LABEL),
        wrong=("none",),
        says="the pods of the model chat (transformer) are taken out of the mesh",
    ),
    Case(
        rule="pods-have-a-network-policy",
        keeps=walled_in(SPACE),
        at=("tool", "metadata", "namespace"),
        wrong=("other",),
        absent=True,
        says="no network policy limits ingress and egress of Deployment tool",
    ),
)
