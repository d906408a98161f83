"""OpenTelemetry Collector, twice: an agent on every node that reads logs, and a gateway that all logs and traces pass.

Owns: both releases, and the agent's folder on each node, which stays when it goes. Does not own: where logs and traces
are kept (`loki.py`, `tempo.py`).

What they are configured to do stands in `otel_pipelines.py`, and what text they remove in `otel_redaction.py`. That
configuration is handed over whole (`alternateConfig`): the chart's own listens for Jaeger and Zipkin, and what a chart
gives by default a release can change but not take away.

The image is the distribution for Kubernetes, which has a third of what `contrib` has: all that is used here, but for what
writes to S3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.otel_audit import AuditStream
from components.addons.otel_pipelines import (
    KEPT,
    agent_configuration,
    gateway_configuration,
)
from components.addons.otel_traces import GATEWAY, peers_service
from components.addons.pattern import Addon, AddonArgs
from components.charts import OTEL_COLLECTOR as CHART
from components.mesh import mesh_label
from components.node_agents import LOG_AGENT
from settings.observability import SampledTracing

IMAGE: Final = "otel/opentelemetry-collector-k8s"
WHOLE_IMAGE: Final = "otel/opentelemetry-collector-contrib"
AGENT_GATES: Final = ("stanza.synchronousLogEmitter",)
"""Else the agent writes down how far it has read while the last lines are in its memory alone, and a kill loses them."""
AGENT_DISK: Final = "/var/lib/otel-agent"
"""On the node."""
_PORTS: Final = ("otlp", "otlp-http", "jaeger-compact", "jaeger-thrift", "jaeger-grpc", "zipkin")
_SECCOMP: Final[Mapping[str, Any]] = {"seccompProfile": {"type": "RuntimeDefault"}}
_PODS: Final = {"app.kubernetes.io/instance": GATEWAY}
_KEPT_MOUNT: Final[Mapping[str, Any]] = {"name": "kept", "mountPath": KEPT}


@dataclass(frozen=True, kw_only=True)
class OtelGatewayArgs(AddonArgs):
    """`logs`, `traces`: Loki and Tempo are there. What nobody keeps is taken and dropped, so that senders work on.

    meshed: it is in the mesh. tracing: which traces are kept; None is all that come.
    """

    logs: bool
    traces: bool
    meshed: bool = False
    tracing: SampledTracing | None = None


class OtelGateway(Addon):
    """Installs the gateway. Once `ready` is known, it takes logs and traces."""

    def __init__(self, name: str, args: OtelGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:OtelGateway", name, {}, opts)
        values = gateway_values(
            logs=args.logs,
            traces=args.traces,
            replicas=args.replicas,
            monitored=args.monitored,
            meshed=args.meshed,
            tracing=args.tracing,
        )
        self._install(name, args, CHART, values)


@dataclass(frozen=True, kw_only=True)
class OtelAgentArgs(AddonArgs):
    """`meshed`: it is in the mesh, as what it sends to is. `audit`: where the gateway's lines are kept, too."""

    meshed: bool = False
    audit: AuditStream | None = None


class OtelAgent(Addon):
    """Installs the agent. It needs no gateway to start: what it reads waits on the node."""

    def __init__(self, name: str, args: OtelAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:OtelAgent", name, {}, opts)
        values = agent_values(monitored=args.monitored, meshed=args.meshed, audit=args.audit)
        self._install(name, args, CHART, values)


def gateway_values(
    *,
    logs: bool,
    traces: bool,
    replicas: int,
    monitored: bool,
    meshed: bool = False,
    tracing: SampledTracing | None = None,
) -> dict[str, Any]:
    """Return the chart's values for the gateway."""
    several = replicas > 1
    peers = [peers_service(_PODS)] if several and tracing is not None else []
    return {
        **_common(meshed=meshed),
        "mode": "deployment",
        "fullnameOverride": GATEWAY,
        "replicaCount": replicas,
        "serviceAccount": {"create": True, "name": GATEWAY, "automountServiceAccountToken": False},
        "alternateConfig": gateway_configuration(
            logs=logs, traces=traces, tracing=tracing, replicas=replicas
        ),
        "extraManifests": peers,
        "ports": _ports("otlp", "otlp-http"),
        "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001, **_SECCOMP},
        "extraVolumes": [{"name": "kept", "emptyDir": {"sizeLimit": "2Gi"}}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1} if several else {"enabled": False},
        "topologySpreadConstraints": [_over_zones()] if several else [],
        "serviceMonitor": {"enabled": monitored},
    }


def agent_values(
    *, monitored: bool, meshed: bool = False, audit: AuditStream | None = None
) -> dict[str, Any]:
    """Return the chart's values for the agent."""
    logs = {"name": "logs", "mountPath": "/var/log/pods", "readOnly": True}
    return {
        **_common(meshed=meshed),
        "image": {"repository": WHOLE_IMAGE if audit is not None else IMAGE},
        "command": {"extraArgs": [f"--feature-gates={','.join(AGENT_GATES)}"]},
        "mode": "daemonset",
        # The chart adds `-agent`.
        "fullnameOverride": "otel",
        "serviceAccount": {"create": True, "name": LOG_AGENT.service_account},
        "clusterRole": {
            "create": True,
            "name": LOG_AGENT.service_account,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["pods", "namespaces"],
                    "verbs": ["get", "list", "watch"],
                }
            ],
            "clusterRoleBinding": {"name": LOG_AGENT.service_account},
        },
        "alternateConfig": agent_configuration(audit),
        "ports": _ports(),
        # Files of logs belong to root, and nobody else may read them. It is a root without capabilities.
        "podSecurityContext": {"runAsUser": 0, "runAsGroup": 0, **_SECCOMP},
        "extraVolumes": [
            {"name": "logs", "hostPath": {"path": "/var/log/pods"}},
            {"name": "kept", "hostPath": {"path": AGENT_DISK, "type": "DirectoryOrCreate"}},
        ],
        "extraVolumeMounts": [_KEPT_MOUNT, logs],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        # Every node, whatever its taint, and before models fill it.
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-node-critical",
        "podMonitor": {"enabled": monitored},
    }


def _common(*, meshed: bool) -> dict[str, Any]:
    return {
        "podLabels": mesh_label(meshed=meshed),
        "image": {"repository": IMAGE},
        "extraVolumeMounts": [_KEPT_MOUNT],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _ports(*used: str) -> dict[str, Any]:
    """Return which of the chart's ports there are. All but one are on by default, on the node's own address for an agent."""
    return {**{port: {"enabled": port in used} for port in _PORTS}, "metrics": {"enabled": True}}


def _over_zones() -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _PODS},
    }
