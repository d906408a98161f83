"""Cases of rules about the mesh, logs and alerts."""

import json

from policies.rules.model import Config
from tests.policies.cases import Case, Given, obj, release
from tests.policies.kubernetes import CHAT, ENGINE, MODEL, SPACE

LABELS = {"vllm-platform.io/model": "chat"}
MESHED: dict[str, Given] = {
    "chat": MODEL,
    "istiod": release("istiod", {}),
    "space": obj(
        "v1",
        "Namespace",
        SPACE,
        labels={"istio.io/dataplane-mode": "ambient", "pod-security.kubernetes.io/enforce": "restricted"},
    ),
    "peer": obj(
        "security.istio.io/v1", "PeerAuthentication", "default", SPACE, spec={"mtls": {"mode": "STRICT"}}
    ),
    "access": obj(
        "security.istio.io/v1",
        "AuthorizationPolicy",
        "vllm-access-chat",
        SPACE,
        spec={
            "action": "ALLOW",
            "selector": {"matchLabels": LABELS},
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/llm-prod/sa/api-gateway"]}}]}],
        },
    ),
}
PORTS = {
    "selector": {"matchLabels": {"app": "prometheus"}},
    "mtls": {"mode": "STRICT"},
    "portLevelMtls": {"9090": {"mode": "PERMISSIVE"}},
}
PEER = {"peer": obj("security.istio.io/v1", "PeerAuthentication", "prometheus", "monitoring", spec=PORTS)}
WALLED: dict[str, Given] = {
    "chat": MODEL,
    "wall": obj(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "default-deny",
        SPACE,
        spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    ),
}
AGENT: dict[str, Given] = {
    "agent": release(
        "opentelemetry-collector",
        {
            "alternateConfig": {
                "processors": {"redaction": {"blocked_values": ['"(?:prompt|messages)"']}},
                "service": {"pipelines": {"logs": {"receivers": ["file_log"], "processors": ["redaction"]}}},
            }
        },
    )
}
COLLECTING = ("agent", "values", "alternateConfig")
LOGS = (*COLLECTING, "service", "pipelines", "logs")
ALERTED: dict[str, Given] = {
    "chat": MODEL,
    "prometheus": release("kube-prometheus-stack", {"grafana": {"enabled": True}}),
    "rules": obj(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        "model-chat",
        SPACE,
        spec={
            "groups": [
                {
                    "name": "chat",
                    "rules": [
                        {"alert": "ModelDown", "expr": 'up{model="chat"} == 0', "labels": {"model": "chat"}}
                    ],
                }
            ]
        },
    ),
}
ALERT = ("rules", "spec", "groups", 0, "rules", 0)
BOARD = json.dumps(
    {
        "panels": [
            {
                "targets": [
                    {"expr": "histogram_quantile(0.99, rate(vllm:time_to_first_token_seconds_bucket[5m]))"}
                ]
            }
        ]
    }
)
SHOWN = {
    **ALERTED,
    "board": obj(
        "v1",
        "ConfigMap",
        "board",
        "monitoring",
        labels={"grafana_dashboard": "1"},
        data={"board.json": BOARD},
    ),
}

CASES = (
    Case(
        rule="mutual-tls-is-strict",
        keeps=PEER,
        at=("peer", "spec", "mtls", "mode"),
        wrong=("PERMISSIVE", "DISABLE"),
        absent=True,
        says="has the mode",
    ),
    Case(
        rule="mutual-tls-is-strict",
        keeps=PEER,
        at=("peer", "spec", "portLevelMtls", "9090", "mode"),
        wrong=("DISABLE",),
        says="opens port 9090",
    ),
    Case(
        rule="mutual-tls-is-strict",
        keeps=PEER,
        at=("peer", "spec", "selector"),
        absent=True,
        says="opens port 9090",
    ),
    Case(
        rule="models-are-in-the-mesh",
        keeps=MESHED,
        at=("space", "metadata", "labels", "istio.io/dataplane-mode"),
        wrong=("none",),
        absent=True,
        says="is not in the mesh",
    ),
    Case(
        rule="models-are-in-the-mesh",
        keeps=MESHED,
        at=("peer", "spec", "mtls", "mode"),
        wrong=("PERMISSIVE",),
        absent=True,
        says="plain connections are taken",
    ),
    Case(
        rule="models-have-an-authorization-policy",
        keeps=MESHED,
        at=("access", "spec", "selector"),
        wrong=({"matchLabels": {"app": "other"}},),
        absent=True,
        says="no AuthorizationPolicy is about the model chat",
    ),
    Case(
        rule="authorization-names-its-callers",
        keeps=MESHED,
        at=("access", "spec", "rules", 0, "from"),
        wrong=([], [{"source": {"namespaces": ["chat"]}}]),
        absent=True,
        says="that it does not name",
    ),
    Case(
        rule="authorization-names-its-callers",
        keeps=MESHED,
        at=("access", "spec", "rules", 0, "from", 0, "source", "principals"),
        wrong=(["*"], ["cluster.local/ns/llm-prod/*"]),
        absent=True,
        says="AuthorizationPolicy vllm-access-chat",
    ),
    Case(
        rule="pods-have-a-network-policy",
        keeps=WALLED,
        at=("wall", "spec", "policyTypes"),
        wrong=(["Ingress"], []),
        absent=True,
        says="no network policy limits",
    ),
    Case(
        rule="pods-have-a-network-policy",
        keeps=WALLED,
        at=("wall", "spec", "podSelector"),
        wrong=({"matchLabels": {"app": "other"}},),
        absent=True,
        says="ingress and egress",
    ),
    Case(
        rule="namespaces-have-a-pod-security-level",
        keeps=MESHED,
        at=("space", "metadata", "labels", "pod-security.kubernetes.io/enforce"),
        absent=True,
        says="of any rights",
    ),
    Case(
        rule="models-log-requests-without-text",
        keeps=CHAT,
        at=(*ENGINE, "args", 2),
        wrong=("--port=8000",),
        absent=True,
        says="runs without --middleware",
    ),
    Case(
        rule="models-log-requests-without-text",
        keeps=CHAT,
        at=(*ENGINE, "args", 0),
        wrong=("--enable-log-requests", "--enable_log_requests"),
        says="writes prompts",
    ),
    Case(
        rule="log-agents-redact",
        keeps=AGENT,
        at=(*LOGS, "processors"),
        wrong=([], ["batch"]),
        absent=True,
        says="removes no text",
    ),
    Case(
        rule="log-agents-redact",
        keeps=AGENT,
        at=(*COLLECTING, "processors", "redaction"),
        wrong=({}, {"blocked_values": ["prompt"]}),
        absent=True,
        says="lets prompts through",
    ),
    Case(
        rule="logs-are-collected",
        keeps={"chat": MODEL, **AGENT},
        at=(*LOGS, "receivers"),
        wrong=(["otlp"], []),
        absent=True,
        says="no agent collects",
    ),
    Case(
        rule="models-have-alerts",
        keeps=ALERTED,
        at=(*ALERT, "alert"),
        absent=True,
        says="no alert is about the model chat",
    ),
    Case(
        rule="dashboards-show-the-slowest-requests",
        keeps=SHOWN,
        at=("board", "data", "board.json"),
        wrong=("{}", "no JSON"),
        absent=True,
        says="of 1 dashboards none",
    ),
    Case(
        rule="models-are-in-the-mesh",
        keeps={name: MESHED[name] for name in ("chat", "space", "peer")},
        at=("space", "metadata", "labels", "istio.io/dataplane-mode"),
        wrong=("none",),
        absent=True,
        says="is not in the mesh",
        config=Config(addons={"istio": "existing"}),
    ),
)
