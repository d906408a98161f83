"""The audit stream: the gateway's lines of who called which model, from the agent's files to the bucket that is written once.

Beside the other logs, not instead of them: whoever looks for a request finds it in Loki too. It has a queue of its own,
so that neither waits for the other, and goes from the node to the bucket without a hop: there is no port to which
somebody could send lines that the gateway never wrote. In the bucket a line is what the gateway wrote, one a line.
"""

from dataclasses import dataclass
from typing import Any, Final

from components.addons.otel_lines import REQUEST
from components.audit_bucket import GATEWAY_PREFIX

FLUSH_SECONDS: Final = 60
FLUSH_BYTES: Final = 4 * 2**20
"""An object holds so much, or what came within the time: each object costs a request, and can not be merged later."""
PROXY_CONTAINER: Final = "envoy"
"""Of the pods that Envoy Gateway makes (1.9: internal/infrastructure/kubernetes/proxy)."""


@dataclass(frozen=True, kw_only=True)
class AuditStream:
    """bucket, region: of S3. namespace: where the gateway's proxies run."""

    bucket: str
    region: str
    namespace: str


def only_the_gateway(stream: AuditStream) -> dict[str, Any]:
    """Return the configuration of the processor `filter`, which drops all other lines."""
    kept = (
        f'resource.attributes["k8s.namespace.name"] == "{stream.namespace}"'
        f' and resource.attributes["k8s.container.name"] == "{PROXY_CONTAINER}"'
        f' and log.attributes["event.name"] == "{REQUEST}"'
    )
    # What can not be judged is kept: a line too many can be told from the others, a lost one can not.
    return {"error_mode": "ignore", "log_conditions": [f"not ({kept})"]}


def to_bucket(stream: AuditStream, queue: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of the exporter `awss3`. `queue`: of the other exporters."""
    batch = {"flush_timeout": f"{FLUSH_SECONDS}s", "min_size": FLUSH_BYTES, "max_size": 2 * FLUSH_BYTES}
    return {
        "marshaler": "body",
        "timeout": "60s",
        # For ever: nothing is dropped because somebody mended a right too late.
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "sending_queue": {**queue, "batch": batch},
        "s3uploader": {
            "region": stream.region,
            "s3_bucket": stream.bucket,
            "s3_prefix": GATEWAY_PREFIX,
            "s3_partition_format": "%Y/%m/%d",
            "s3_partition_timezone": "UTC",
            "compression": "gzip",
            "unique_key_func_name": "uuidv7",
        },
    }
