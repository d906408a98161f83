"""Tempo: keeps traces, and finds them again.

Owns: its pod and its volume. Does not own: the bucket, the right to use it (the account `tempo` gets it by Pod
Identity, outside of here), and what reaches it (the collector).

Always one process: the chart of one binary knows no second, and that of several needs Kafka from Tempo 3.0 on. While
it is away the collector keeps what comes. With a bucket its volume holds the last minutes only.

Its configuration is written whole, as JSON, which is YAML: the chart's own opens ports for Jaeger, and what a chart
gives by default a release can change but not take away.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import TEMPO as CHART
from components.node_agents import MONITORING_NAMESPACE
from settings.needed_secrets import STORE_KEYS
from settings.observability import Kept, TelemetryStore, VolumeStore
from settings.storage import CompatibleBucket

NAME: Final = "tempo"
SERVICE_ACCOUNT: Final = NAME
QUERY_PORT: Final = 3200
OTLP_PORT: Final = 4317
_HOST: Final = f"{NAME}.{MONITORING_NAMESPACE}.svc.cluster.local"
TEMPO_URL: Final = f"http://{_HOST}:{QUERY_PORT}"
"""Where traces are asked for."""
TEMPO_OTLP: Final = f"{_HOST}:{OTLP_PORT}"
"""Where traces are sent to: OTLP over gRPC."""

PREFIX: Final = "traces"
"""In the bucket, which logs lie in too: Tempo takes every folder beside its own for a tenant."""
MEMORY_MIB: Final = 2048
# What Go keeps below, so that it collects garbage before the kernel ends it.
MEMORY_SOFT_MIB: Final = MEMORY_MIB * 9 // 10


@dataclass(frozen=True, kw_only=True)
class TempoArgs(AddonArgs):
    """`traces`: for how long, and the volume. `store`: where they lie after. `storage_class`: None is the cluster's default.

    A store that is not Amazon's has its keys in a Secret of the namespace.
    """

    traces: Kept
    store: TelemetryStore
    region: str
    storage_class: str | None


class Tempo(Addon):
    """Installs it. Once `ready` is known, it takes traces."""

    def __init__(self, name: str, args: TempoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Tempo", name, {}, opts)
        values = tempo_values(
            traces=args.traces,
            store=args.store,
            region=args.region,
            storage_class=args.storage_class,
            monitored=args.monitored,
        )
        self._install(name, args, CHART, values)


def tempo_values(
    *, traces: Kept, store: TelemetryStore, region: str, storage_class: str | None, monitored: bool
) -> dict[str, Any]:
    """Return the chart's values. No number of replicas: it is one."""
    return {
        "fullnameOverride": NAME,
        "replicas": 1,
        "config": json.dumps(
            tempo_configuration(days=traces.days, store=store, region=region), indent=2, sort_keys=True
        ),
        "tempo": {
            "resources": {
                "requests": {"cpu": "100m", "memory": "512Mi"},
                "limits": {"memory": f"{MEMORY_MIB}Mi"},
            },
            # A block of unused memory, from the days before Go knew a limit of its own.
            "memBallastSizeMbs": 0,
            "extraEnv": [
                {"name": "GOMEMLIMIT", "value": f"{MEMORY_SOFT_MIB}MiB"},
                *_store_keys(store),
            ],
            # Without an address the Service has no port for it.
            "receivers": {
                "jaeger": {
                    "protocols": {
                        protocol: {"endpoint": ""}
                        for protocol in ("grpc", "thrift_binary", "thrift_compact", "thrift_http")
                    }
                }
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
        },
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        # It asks Kubernetes for nothing. Pod Identity brings a token of its own.
        "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT, "automountServiceAccountToken": False},
        "persistence": {
            "enabled": True,
            "size": traces.volume,
            **({"storageClassName": storage_class} if storage_class else {}),
        },
        "serviceMonitor": {"enabled": monitored},
    }


def tempo_configuration(*, days: int, store: TelemetryStore, region: str) -> dict[str, Any]:
    """Return Tempo's configuration."""
    return {
        "server": {"http_listen_port": QUERY_PORT},
        "multitenancy_enabled": False,
        "usage_report": {"reporting_enabled": False},
        "distributor": {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"0.0.0.0:{OTLP_PORT}"}}}}},
        "compactor": {"compaction": {"block_retention": f"{days * 24}h"}},
        "storage": {"trace": {"wal": {"path": "/var/tempo/wal"}, **_backend(store, region)}},
    }


def _backend(store: TelemetryStore, region: str) -> dict[str, Any]:
    if isinstance(store, VolumeStore):
        return {"backend": "local", "local": {"path": "/var/tempo/traces"}}
    s3: dict[str, Any] = {"bucket": store.name, "prefix": PREFIX}
    if isinstance(store, CompatibleBucket):
        # Host and port alone, always with TLS. The bucket in the path, as for everything here.
        host = store.endpoint.removeprefix("https://")
        s3 |= {"endpoint": host, "region": store.region, "forcepathstyle": True}
    else:
        # It does not know Amazon's addresses by itself; those in China have an end of their own.
        end = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        s3 |= {"endpoint": f"s3.{region}.{end}", "region": region}
    return {"backend": "s3", "s3": s3}


def _store_keys(store: TelemetryStore) -> list[dict[str, Any]]:
    if not isinstance(store, CompatibleBucket):
        return []
    return [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": store.credentials_secret, "key": key}}}
        for key in STORE_KEYS
    ]
