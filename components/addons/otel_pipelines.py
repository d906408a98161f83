"""What the collector does: from files and programs, past the removal of text, to Loki and Tempo.

No line is lost while something is away. The agent has the one queue, on the node's disk; when that is full it stops
reading, and the files wait until the node rotates them. The gateway keeps no logs: it answers the agent when Loki has
answered. Traces come from programs that wait for nobody, so the gateway keeps those, on a volume that outlives its
container but not its pod.
"""

from typing import Any, Final

from components.addons.loki import LOKI_URL
from components.addons.otel_audit import AuditStream, only_the_gateway, to_bucket
from components.addons.otel_lines import lines
from components.addons.otel_redaction import redaction
from components.addons.otel_traces import GATEWAY, PEER_PORT, sampling, spans, to_peers
from components.addons.tempo import TEMPO_OTLP
from components.model_names import MODEL_LABEL, REVISION_LABEL, TRACK_LABEL
from components.node_agents import MONITORING_NAMESPACE
from settings.observability import SampledTracing

GRPC_PORT: Final = 4317
_GATEWAY_HOST: Final = f"{GATEWAY}.{MONITORING_NAMESPACE}.svc.cluster.local"
OTLP_GRPC: Final = f"{_GATEWAY_HOST}:{GRPC_PORT}"
"""Where traces and logs are sent to. Host and port, as gRPC wants them."""
OTLP_HTTP: Final = f"http://{_GATEWAY_HOST}:4318"
"""The same, for those that speak HTTP only (Kong)."""

KEPT: Final = "/var/lib/otelcol"
"""In the container: queues, and how far each file was read."""
QUEUE_BYTES: Final = 2**30
BATCH_BYTES: Final = 2**20
"""Below the 4 MiB that gRPC takes at once."""
RECONNECT_SECONDS: Final = 300
"""gRPC stays with one pod for ever: all that went to another while this one was away would never come back."""


def gateway_configuration(
    *, logs: bool, traces: bool, tracing: SampledTracing | None = None, replicas: int = 1
) -> dict[str, Any]:
    """Return the gateway's configuration. What nobody keeps is taken and dropped, so that senders work on.

    tracing: of which traces are kept; None is of all that come.
    """
    stay = {"keepalive": {"server_parameters": {"max_connection_age": f"{RECONNECT_SECONDS}s"}}}
    exporters: dict[str, Any] = {
        # Without a queue: the agent waits for the answer, and sends again.
        "otlp_http/logs": {
            "endpoint": f"{LOKI_URL}/otlp",
            "timeout": "20s",
            "sending_queue": {"enabled": False},
            "retry_on_failure": {"enabled": False},
        },
        "otlp_grpc/traces": {
            "endpoint": TEMPO_OTLP,
            "tls": {"insecure": True},
            "retry_on_failure": {"enabled": True, "max_elapsed_time": "1h"},
            "sending_queue": _queue(),
        },
        "nop": {},
    }
    to_logs = "otlp_http/logs" if logs else "nop"
    to_traces = "otlp_grpc/traces" if traces else "nop"
    receivers: dict[str, Any] = {
        "otlp": {
            "protocols": {
                "grpc": {"endpoint": f"${{env:MY_POD_IP}}:{GRPC_PORT}", **stay},
                "http": {"endpoint": "${env:MY_POD_IP}:4318"},
            }
        }
    }
    processors: dict[str, Any] = {
        "memory_limiter": _memory_limiter(),
        "transform/spans": spans(),
        "redaction": redaction(),
    }
    clean = ["transform/spans", "redaction"]
    pipelines = {
        "logs": _pipeline(["otlp"], ["memory_limiter", "redaction"], to_logs),
        "traces": _pipeline(["otlp"], ["memory_limiter", *clean], to_traces),
    }
    if tracing is not None:
        processors["tail_sampling"] = sampling(tracing)
        chosen = ["memory_limiter", "tail_sampling", *clean]
        pipelines["traces"] = _pipeline(["otlp"], chosen, to_traces)
        if replicas > 1:
            receivers["otlp/peers"] = {
                "protocols": {"grpc": {"endpoint": f"${{env:MY_POD_IP}}:{PEER_PORT}", **stay}}
            }
            exporters["load_balancing"] = to_peers()
            pipelines["traces"] = _pipeline(["otlp"], ["memory_limiter"], "load_balancing")
            pipelines["traces/kept"] = _pipeline(["otlp/peers"], chosen, to_traces)
    used = {name for pipeline in pipelines.values() for name in pipeline["exporters"]}
    return {
        "extensions": _extensions(),
        "receivers": receivers,
        "processors": processors,
        "exporters": {name: exporters[name] for name in sorted(used)},
        "service": _service(pipelines),
    }


def agent_configuration(audit: AuditStream | None = None) -> dict[str, Any]:
    """Return the agent's configuration. `audit`: the gateway's lines go to a bucket, too."""
    read = ["memory_limiter", "k8s_attributes", "transform", "redaction"]
    processors: dict[str, Any] = {
        "memory_limiter": _memory_limiter(),
        "k8s_attributes": _pod_attributes(),
        "transform": lines(),
        "redaction": redaction(),
    }
    # Full, it makes its reader wait.
    queue = {**_queue(), "block_on_overflow": True}
    exporters: dict[str, Any] = {
        "otlp_grpc": {
            "endpoint": OTLP_GRPC,
            # The mesh encrypts.
            "tls": {"insecure": True},
            # Longer than the gateway waits for Loki.
            "timeout": "30s",
            # For ever: the queue has an end, and then reading stops.
            "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
            "sending_queue": queue,
        }
    }
    pipelines = {"logs": _pipeline(["file_log"], read, "otlp_grpc")}
    if audit is not None:
        processors["filter/audit"] = only_the_gateway(audit)
        exporters["awss3/audit"] = to_bucket(audit, queue)
        ours = ["memory_limiter", "transform", "filter/audit", "redaction"]
        pipelines["logs/audit"] = _pipeline(["file_log"], ours, "awss3/audit")
    return {
        "extensions": _extensions(),
        "receivers": {"file_log": _files()},
        "processors": processors,
        "exporters": exporters,
        "service": _service(pipelines),
    }


def _files() -> dict[str, Any]:
    return {
        # The second: what a kubelet put aside before it was read to its end, while nothing could be sent. Files are known
        # by how they begin, so one that was only renamed is not read again.
        "include": ["/var/log/pods/*/*/*.log", "/var/log/pods/*/*/*.log.*"],
        "exclude": [
            # What collectors say of each other would never end.
            f"/var/log/pods/{MONITORING_NAMESPACE}_otel-*/*/*",
            # Kubelets compress what they put aside when they put the next one aside.
            "/var/log/pods/*/*/*.gz",
            "/var/log/pods/*/*/*.tmp",
        ],
        "include_file_path": True,
        "include_file_name": False,
        # A pod can be older than the agent of its node. What was read is not read again: that is in the storage.
        "start_at": "beginning",
        "storage": "file_storage",
        "retry_on_failure": {"enabled": True},
        "operators": [
            {"type": "container"},
            # Pod, namespace and container are attributes of their own by now, and parts of lines are put together.
            {"type": "remove", "field": 'attributes["log.file.path"]'},
            {"type": "remove", "field": "attributes.logtag", "if": "attributes.logtag != nil"},
        ],
    }


def _pod_attributes() -> dict[str, Any]:
    labels = {"model": MODEL_LABEL, "model.revision": REVISION_LABEL, "model.track": TRACK_LABEL}
    return {
        "filter": {"node_from_env_var": "OTEL_K8S_NODE_NAME"},
        "pod_association": [{"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}],
        "extract": {
            "metadata": [
                "k8s.node.name",
                "k8s.deployment.name",
                "k8s.statefulset.name",
                "k8s.daemonset.name",
                "k8s.job.name",
                "service.name",
            ],
            "labels": [{"tag_name": tag, "key": key, "from": "pod"} for tag, key in labels.items()],
        },
    }


def _extensions() -> dict[str, Any]:
    return {
        "health_check": {"endpoint": "${env:MY_POD_IP}:13133"},
        "file_storage": {
            "directory": KEPT,
            # A queue that was long stays a large file, of which each page counts as memory.
            "compaction": {"on_start": True, "on_rebound": True, "directory": KEPT},
        },
    }


def _memory_limiter() -> dict[str, Any]:
    return {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20}


def _queue() -> dict[str, Any]:
    return {
        "enabled": True,
        "storage": "file_storage",
        "sizer": "bytes",
        "queue_size": QUEUE_BYTES,
        "batch": {"flush_timeout": "1s", "min_size": BATCH_BYTES // 4, "max_size": BATCH_BYTES},
    }


def _pipeline(receivers: list[str], processors: list[str], exporter: str) -> dict[str, Any]:
    return {"receivers": receivers, "processors": processors, "exporters": [exporter]}


def _service(pipelines: dict[str, Any]) -> dict[str, Any]:
    shown = {"host": "${env:MY_POD_IP}", "port": 8888}
    return {
        "extensions": ["health_check", "file_storage"],
        "pipelines": pipelines,
        "telemetry": {
            "logs": {"encoding": "json"},
            "metrics": {"readers": [{"pull": {"exporter": {"prometheus": shown}}}]},
        },
    }
