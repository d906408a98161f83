"""Prometheus with its operator, Alertmanager and Grafana: metrics, alerts and dashboards.

Owns: the operator's kinds (a unit of their own), all of the chart's parts, and Grafana's sources of data. Does not own:
rules, dashboards and monitors of other parts, which come with those, in whatever namespace; nor a way in from outside.

The kinds come from their own chart, of the same version of the operator, as templates that stay when the release goes
(`helm.sh/resource-policy`): with them every monitor and every rule would go. The chart itself would bring them from its
crds/, which Helm never upgrades.

Not watched are the controller manager, the scheduler and etcd, which a managed control plane does not show, and
kube-proxy, which answers on its node's loopback only: alerts on all four would fire for ever.

Grafana is one pod without a volume: dashboards are code, and two pods would each have sessions of their own. Its password
comes from a Secret where the stack keeps secrets in a store; else the chart makes one, and at each upgrade reads it again
from the Secret `grafana`.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.alertmanager import alertmanager_values
from components.addons.loki import LOKI_URL
from components.addons.pattern import Addon, AddonArgs
from components.addons.tempo import TEMPO_URL
from components.charts import PROMETHEUS, PROMETHEUS_CRDS
from components.mesh import mesh_label
from components.node_agents import MONITORING_NAMESPACE, NODE_EXPORTER
from settings import Settings
from settings.alerting import Alerting
from settings.observability import Kept
from settings.scalars import mebibytes
from settings.volumes import ALERTMANAGER_VOLUME

NAME: Final = "platform"
"""What the chart puts before the names of its parts."""
WEB_PORT: Final = 9090
PROMETHEUS_ACCOUNT: Final = f"{NAME}-prometheus"
"""Service account, and Service, of Prometheus itself; models admit it by this name."""
PROMETHEUS_URL: Final = f"http://{PROMETHEUS_ACCOUNT}.{MONITORING_NAMESPACE}.svc.cluster.local:{WEB_PORT}"
ALERTMANAGER_URL: Final = f"http://{NAME}-alertmanager.{MONITORING_NAMESPACE}.svc.cluster.local:9093"
GRAFANA: Final = "grafana"
DASHBOARD_LABEL: Final = "grafana_dashboard"
"""A ConfigMap of any namespace with this label, and "1" for its value, is a dashboard."""

FILL_PERCENT: Final = 85
"""Of a volume, until the oldest goes before its days are over; the rest is what compaction needs for a while."""
_DASHBOARD_READER: Final = "grafana-configmaps"
_EXEMPLARS: Final = {"datasourceUid": "tempo", "traceIdLabelName": "trace_id"}


@dataclass(frozen=True, kw_only=True)
class PrometheusDefinitionsArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class PrometheusDefinitions(Addon):
    """Installs the kinds. Once `ready` is known, a ServiceMonitor can be made."""

    def __init__(
        self, name: str, args: PrometheusDefinitionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:PrometheusDefinitions", name, {}, opts)
        self._install(name, args, PROMETHEUS_CRDS, definition_values())


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs(AddonArgs):
    """`metrics`: for how long, and the volume. `logs`, `traces`: Loki and Tempo are there, and Grafana shows them.

    storage_class: None is the cluster's default. admin_secret: with Grafana's administrator; None: the chart makes one.
    meshed: Prometheus itself is in the mesh, for models admit nobody else.
    alerting: None tells nobody of alerts. gpu_scaled: models whose scaler reads the load of GPUs.
    """

    metrics: Kept
    meshed: bool = False
    storage_class: str | None
    logs: bool
    traces: bool
    admin_secret: str | None = None
    alerting: Alerting | None = None
    gpu_scaled: tuple[str, ...] = ()


class Prometheus(Addon):
    """Installs it. Once `ready` is known, the operator works; Prometheus itself follows in a minute."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Prometheus", name, {}, opts)
        values = prometheus_values(
            metrics=args.metrics,
            storage_class=args.storage_class,
            logs=args.logs,
            traces=args.traces,
            replicas=args.replicas,
            admin_secret=args.admin_secret,
            meshed=args.meshed,
            alerting=args.alerting,
            gpu_scaled=args.gpu_scaled,
        )
        self._install(name, args, PROMETHEUS, values, skip_crds=True)


def prometheus_url(settings: Settings) -> str:
    """Return where Prometheus answers inside the cluster: the program's own, or the one that the stack names."""
    return settings.observability.prometheus_url or PROMETHEUS_URL


def definition_values() -> dict[str, Any]:
    """Return the values of the chart of kinds: all of them, and they stay."""
    return {"crds": {"annotations": {"helm.sh/resource-policy": "keep"}}}


def prometheus_values(
    *,
    metrics: Kept,
    storage_class: str | None,
    logs: bool,
    traces: bool,
    replicas: int,
    admin_secret: str | None = None,
    meshed: bool = False,
    alerting: Alerting | None = None,
    gpu_scaled: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the chart's values. Pod security of all but node-exporter is the chart's own, already strict."""
    off = {"enabled": False}
    return {
        "fullnameOverride": NAME,
        "crds": off,
        "kubeControllerManager": off,
        "kubeScheduler": off,
        "kubeEtcd": off,
        "kubeProxy": off,
        "prometheusOperator": _operator(),
        "prometheus": _prometheus(metrics, storage_class, replicas, meshed=meshed, traces=traces),
        "alertmanager": _alertmanager(storage_class, replicas, alerting, gpu_scaled),
        "grafana": _grafana(logs=logs, traces=traces, admin_secret=admin_secret),
        "kube-state-metrics": {
            "fullnameOverride": "kube-state-metrics",
            # No rule and no dashboard asks for it, and it would be allowed to read every Secret.
            "collectorsExclude": ["secrets"],
            "resources": _resources("50m", "128Mi", "512Mi"),
        },
        "prometheus-node-exporter": _node_exporter(),
    }


def _operator() -> dict[str, Any]:
    return {
        "resources": _resources("50m", "128Mi", "512Mi"),
        "prometheusConfigReloader": {"resources": _resources("10m", "32Mi", "128Mi")},
        "admissionWebhooks": {
            # A rule that is wrong is refused by the operator too, only later. With `Fail` no chart that has rules could
            # be upgraded while the operator, one pod, is away.
            "failurePolicy": "Ignore",
            "patch": {"resources": _resources("10m", "32Mi", "128Mi")},
        },
    }


def _prometheus(
    metrics: Kept, storage_class: str | None, replicas: int, *, meshed: bool, traces: bool
) -> dict[str, Any]:
    several = replicas > 1
    return {
        "serviceAccount": {"create": True, "name": PROMETHEUS_ACCOUNT},
        "podDisruptionBudget": {"enabled": several, "minAvailable": 1},
        # Each replica asks for itself, so no two have the same numbers: who asks shall stay with one of them.
        "service": {"sessionAffinity": "ClientIP" if several else "None"},
        "prometheusSpec": {
            "replicas": replicas,
            # Not the namespace: the API server calls the operator and the adapter there, from outside of the mesh.
            "podMetadata": {"labels": mesh_label(meshed=meshed)},
            # Else the traces that a counter names are forgotten with each scrape.
            "enableFeatures": ["exemplar-storage"] if traces else [],
            "retention": f"{metrics.days}d",
            "retentionSize": f"{mebibytes(metrics.volume) * FILL_PERCENT // 100}MiB",
            "storageSpec": _claim(metrics.volume, storage_class),
            "resources": _resources("500m", "2Gi", "8Gi"),
            "topologySpreadConstraints": [_over_zones("prometheus")] if several else [],
            # Else: only what carries the label of this release. Empty selectors take every namespace's.
            "ruleSelectorNilUsesHelmValues": False,
            "serviceMonitorSelectorNilUsesHelmValues": False,
            "podMonitorSelectorNilUsesHelmValues": False,
            "probeSelectorNilUsesHelmValues": False,
            "scrapeConfigSelectorNilUsesHelmValues": False,
        },
    }


def _alertmanager(
    storage_class: str | None, replicas: int, alerting: Alerting | None, gpu_scaled: tuple[str, ...]
) -> dict[str, Any]:
    several = replicas > 1
    told = {} if alerting is None else alertmanager_values(alerting, gpu_scaled)
    return {
        **told,
        "podDisruptionBudget": {"enabled": several, "minAvailable": 1},
        "alertmanagerSpec": {
            **told.get("alertmanagerSpec", {}),
            "replicas": replicas,
            # What is silenced, and who was told what.
            "storage": _claim(ALERTMANAGER_VOLUME, storage_class),
            "resources": _resources("20m", "64Mi", "256Mi"),
            "topologySpreadConstraints": [_over_zones("alertmanager")] if several else [],
        },
    }


def _node_exporter() -> dict[str, Any]:
    return {
        "fullnameOverride": NODE_EXPORTER.service_account,
        "serviceAccount": {"create": True, "name": NODE_EXPORTER.service_account},
        # Every node, whatever its taint. The chart's own, written out.
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        # A node can be full of models before this comes.
        "priorityClassName": "system-node-critical",
        "resources": _resources("50m", "32Mi", "128Mi"),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _grafana(*, logs: bool, traces: bool, admin_secret: str | None) -> dict[str, Any]:
    return {
        "fullnameOverride": GRAFANA,
        "replicas": 1,
        "persistence": {"enabled": False},
        "testFramework": {"enabled": False},
        **({} if admin_secret is None else {"admin": {"existingSecret": admin_secret}}),
        "resources": _resources("100m", "256Mi", "1Gi"),
        "grafana.ini": {
            "auth.anonymous": {"enabled": False},
            "analytics": {"check_for_updates": False, "reporting_enabled": False},
        },
        "sidecar": {
            "resources": _resources("10m", "96Mi", "256Mi"),
            "dashboards": {
                "label": DASHBOARD_LABEL,
                "labelValue": "1",
                "searchNamespace": "ALL",
                "resource": "configmap",
            },
            "datasources": {
                "resource": "configmap",
                **({"exemplarTraceIdDestinations": _EXEMPLARS} if traces else {}),
            },
        },
        # The chart's own role may read every Secret of the cluster.
        "rbac": {"useExistingClusterRole": _DASHBOARD_READER},
        "extraObjects": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": _DASHBOARD_READER},
                "rules": [
                    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
                ],
            }
        ],
        "additionalDataSources": _sources(logs=logs, traces=traces),
    }


def _sources(*, logs: bool, traces: bool) -> list[dict[str, Any]]:
    """Return Grafana's sources beside Prometheus; from a line to its trace and back where there are both."""
    to_trace = {
        "name": "trace",
        "matcherType": "label",
        "matcherRegex": "trace_id",
        "datasourceUid": "tempo",
        # Two: Grafana takes one for a variable of its environment.
        "url": "$${__value.raw}",
    }
    loki = {"name": "Loki", "uid": "loki", "type": "loki", "access": "proxy", "url": LOKI_URL}
    tempo = {"name": "Tempo", "uid": "tempo", "type": "tempo", "access": "proxy", "url": TEMPO_URL}
    back = {"tracesToLogsV2": {"datasourceUid": "loki", "filterByTraceID": True}}
    return [
        *([{**loki, "jsonData": {"derivedFields": [to_trace]} if traces else {}}] if logs else []),
        *([{**tempo, "jsonData": back if logs else {}}] if traces else []),
    ]


def _resources(cpu: str, memory: str, most: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most}}


def _claim(volume: str, storage_class: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume}},
        **({"storageClassName": storage_class} if storage_class else {}),
    }
    return {"volumeClaimTemplate": {"spec": spec}}


def _over_zones(name: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
