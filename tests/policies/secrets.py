"""Cases of rules about secrets: in values, in ConfigMaps, in environments and on command lines."""

from tests.policies.cases import Case, obj, release
from tests.policies.kubernetes import SPACE, TOOL, TOOL_CONTAINER

# What is named as a secret is, and is none: switches, numbers of tokens, and where a secret lies.
CHART = {
    "chart": release(
        "tool",
        {
            "env": [
                {"name": "MODE", "value": "fast"},
                {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                {"name": "DB_PASSWORD_FILE", "value": "/run/secrets/db"},
                {"name": "API_TOKEN", "value": "$(TOKEN)"},
                {"name": "MAX_TOKENS", "value": "4096"},
                {"name": "ALLOW_EMPTY_PASSWORD", "value": "no"},
            ],
            "password": "",
            "tokens": [],
            "apiKeys": ["${KEY}"],
            "auth": {
                "password": False,
                "passwordSecretRef": {"name": "db", "key": "password"},
                "passwordKey": "password",
                "secretName": "db",
                "existingSecret": "db",
                "tokenExpiration": 3600,
                "existingSecretPasswordKey": "password",
                "token": None,
                "secret": 0,
            },
            "limits": {"maxTokens": 4096, "max_token": 4096, "tokens": 4096},
            "imagePullSecrets": ["registry"],
            "secrets": ["db"],
        },
    )
}

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
        rule="no-secret-in-values",
        keeps=CHART,
        at=("chart", "values", "env", 3, "value"),
        wrong=("hunter2", 123456),
        says="values.env.3.value",
    ),
    Case(
        rule="no-secret-in-values",
        keeps=CHART,
        at=("chart", "values", "env", 0, "name"),
        wrong=("DB_PASSWORD", "PGPASSWORD", "authToken", "adminToken", "superToken"),
        says="values.env.0.value",
    ),
    Case(
        rule="no-secret-in-values",
        keeps=CHART,
        at=("chart", "values", "password"),
        wrong=(123456, 12.5, "123456", ["hunter2"]),
        says="values.password",
    ),
    Case(
        rule="no-secret-in-values",
        keeps=CHART,
        at=("chart", "values", "tokens"),
        wrong=(["abc"], [["abc"]], ["$(TOKEN)", "abc"]),
        says="values.tokens",
    ),
    Case(
        rule="no-secret-in-values",
        keeps=CHART,
        at=("chart", "values", "apiKeys"),
        wrong=(["abc"],),
        says="values.apiKeys",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "env", 0),
        wrong=(
            {"name": "PGPASSWORD", "value": "hunter2"},
            {"name": "OPENAIAPIKEY", "value": "hunter2"},
            {"name": "CLIENTSECRET", "value": "hunter2"},
            {"name": "SSH_PASSPHRASE", "value": "hunter2"},
        ),
        says="has a secret in the variable",
    ),
    Case(
        rule="no-secret-in-env",
        keeps=TOOL,
        at=(*TOOL_CONTAINER, "args"),
        wrong=(["--api-key=hunter2"], ["--api-key", "hunter2"]),
        says="the option api-key",
    ),
)
