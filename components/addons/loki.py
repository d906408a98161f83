"""Loki: keeps log lines, and finds them again.

Owns: its pods and their volumes. Does not own: the bucket, the right to use it (the account `loki` gets it by Pod
Identity, outside of here), and what reaches it (the collector).

One process does everything. With a bucket there are three where there are several at all: each line is on three
volumes until it is in the bucket, and two of three must have taken it, so that one may be away. Two would be no better
than one. On volumes alone there is one: what a second had stored, the first could not find.

No gateway (nginx) and no tenants: every process takes and answers everything behind one Service, and there is one
reader, Grafana. No caches: the chart's ask for 9 GiB of memory. No canary, no test, no rules.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import LOKI as CHART
from components.node_agents import MONITORING_NAMESPACE
from settings.needed_secrets import STORE_KEYS
from settings.observability import Kept, TelemetryStore, VolumeStore
from settings.storage import CompatibleBucket
from settings.volumes import QUORUM, loki_replicas

NAME: Final = "loki"
SERVICE_ACCOUNT: Final = NAME
LOKI_URL: Final = f"http://{NAME}.{MONITORING_NAMESPACE}.svc.cluster.local:3100"
"""Where logs are sent to (OTLP below `/otlp`) and asked for."""

SCHEMA_FROM: Final = "2026-01-01"
"""Since when lines are stored as below. Never changed: what was stored before the date would not be found."""
INDEX_LABELS: Final = (
    "service.name",
    "k8s.namespace.name",
    "k8s.container.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.job.name",
)


@dataclass(frozen=True, kw_only=True)
class LokiArgs(AddonArgs):
    """`logs`: for how long, and the volume. `store`: where they lie after. `storage_class`: None is the cluster's default.

    A store that is not Amazon's has its keys in a Secret of the namespace.
    """

    logs: Kept
    store: TelemetryStore
    region: str
    storage_class: str | None


class Loki(Addon):
    """Installs it. Once `ready` is known, it takes lines."""

    def __init__(self, name: str, args: LokiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Loki", name, {}, opts)
        values = loki_values(
            logs=args.logs,
            store=args.store,
            region=args.region,
            storage_class=args.storage_class,
            replicas=args.replicas,
            monitored=args.monitored,
        )
        self._install(name, args, CHART, values)


def loki_values(
    *,
    logs: Kept,
    store: TelemetryStore,
    region: str,
    storage_class: str | None,
    replicas: int,
    monitored: bool,
) -> dict[str, Any]:
    """Return the chart's values."""
    count = loki_replicas(replicas, store)
    off = {"enabled": False}
    none = {"replicas": 0}
    return {
        "fullnameOverride": NAME,
        "deploymentMode": "Monolithic",
        "singleBinary": _process(count, logs.volume, storage_class, store),
        # The chart's default is three of each, and it refuses them beside the one process.
        "read": none,
        "write": none,
        "backend": none,
        "loki": _configuration(logs.days, store, region, count),
        "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT, "automountServiceAccountToken": False},
        "defaults": {
            # It asks Kubernetes for nothing. Pod Identity brings a token of its own.
            "automountServiceAccountToken": False,
            # The chart's Service leads to processes that are not ready, too: a third of all requests at each upgrade.
            "service": {"publishNotReadyAddresses": False},
        },
        "gateway": off,
        "ruler": off,
        "chunksCache": off,
        "resultsCache": off,
        "lokiCanary": off,
        "test": off,
        "minio": off,
        # Would read ConfigMaps and Secrets of the whole cluster, for rules that nobody writes.
        "sidecar": {"rules": off},
        "monitoring": {"serviceMonitor": {"enabled": monitored}},
    }


def _process(count: int, volume: str, storage_class: str | None, store: TelemetryStore) -> dict[str, Any]:
    spread = [_over("topology.kubernetes.io/zone"), _over("kubernetes.io/hostname")]
    return {
        "replicas": count,
        "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "persistence": {
            "enabled": True,
            "size": volume,
            **({"storageClass": storage_class} if storage_class else {}),
        },
        "extraEnv": _store_environment(store),
        "podDisruptionBudget": {"enabled": count > 1, "maxUnavailable": 1},
        # The chart demands a node for each, and with fewer nodes the last would never start.
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": spread if count > 1 else [],
    }


def _configuration(days: int, store: TelemetryStore, region: str, count: int) -> dict[str, Any]:
    kind = "filesystem" if isinstance(store, VolumeStore) else "s3"
    return {
        "auth_enabled": False,
        "commonConfig": {"replication_factor": min(count, QUORUM)},
        "schemaConfig": {
            "configs": [
                {
                    "from": SCHEMA_FROM,
                    "store": "tsdb",
                    "object_store": kind,
                    "schema": "v13",
                    "index": {"prefix": "loki_index_", "period": "24h"},
                }
            ]
        },
        "storage": _storage(store, region),
        # Retention is the compactor's work, and off by default.
        "compactor": {"retention_enabled": True, "delete_request_store": kind},
        "limits_config": {
            "retention_period": f"{days * 24}h",
            "allow_structured_metadata": True,
            # The limits are a tenant's, 4 MB/s by default, and here the whole cluster is one.
            "ingestion_rate_mb": 16,
            "ingestion_burst_size_mb": 32,
            "max_line_size_truncate": True,
        },
        # By default names of pods are labels too: a stream, and its chunks, for every pod that ever was.
        "distributor": {"otlp_config": {"default_resource_attributes_as_index_labels": list(INDEX_LABELS)}},
        "analytics": {"reporting_enabled": False},
    }


def _storage(store: TelemetryStore, region: str) -> dict[str, Any]:
    if isinstance(store, VolumeStore):
        return {"type": "filesystem"}
    s3: dict[str, Any] = {"region": region}
    if isinstance(store, CompatibleBucket):
        # The bucket in the path: its name before the host would need a DNS name and a certificate for each.
        s3 = {"region": store.region, "endpoint": store.endpoint, "s3ForcePathStyle": True}
    return {"type": "s3", "bucketNames": {"chunks": store.name}, "s3": s3}


def _store_environment(store: TelemetryStore) -> list[dict[str, Any]]:
    if not isinstance(store, CompatibleBucket):
        return []
    keys = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": store.credentials_secret, "key": key}}}
        for key in STORE_KEYS
    ]
    # Amazon's client sends checksums that other stores refuse (aws-sdk-go-v2, since January 2025).
    checksums = [
        {"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"},
        {"name": "AWS_RESPONSE_CHECKSUM_VALIDATION", "value": "when_required"},
    ]
    return [*keys, *checksums]


def _over(topology_key: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": topology_key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {
            "matchLabels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "single-binary"}
        },
    }
