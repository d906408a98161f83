"""Cases of rules about secrets: in values, in ConfigMaps, in environments and on command lines."""

from tests.policies.cases import Case, obj, release
from tests.policies.kubernetes import SPACE, TOOL, TOOL_CONTAINER

CASES = (
    Case(
        rule="no-secret-in-values",
        keeps={
            "chart": release(
                "grafana", {"adminPassword": "${PASSWORD}", "admin": {"existingSecret": "grafana-admin"}}
            )
        },
        at=("chart", "values", "adminPassword"),
        wrong=("hunter2", "[secret]"),
        says="values.adminPassword",
    ),
    Case(
        rule="no-secret-in-values",
        keeps={"map": obj("v1", "ConfigMap", "settings", SPACE, data={"a.yaml": "mode: fast"})},
        at=("map", "data", "a.yaml"),
        wrong=(
            "key: AKIA" + "ABCDEFGHIJKLMNOP",
            "-----BEGIN RSA PRIVATE KEY-----",
            "url: postgres://rag:hunter2@db/rag",
        ),
        says="data.a.yaml",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "env", 0, "value"),
        wrong=("hunter2", "hf_" + "a" * 34),
        says="the variable API_TOKEN",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "args"),
        wrong=(["--api-key=hunter2"], ["--api-key", "hunter2"]),
        says="the option api-key",
    ),
)
