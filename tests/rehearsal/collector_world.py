"""The whole way of a log line, real but for what `rehearsal.collector.loopback` puts in the place of a cluster: files, the agent,
the gateway, a sink that speaks Loki's protocol and a server that speaks S3."""

import contextlib
import gzip
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import boto3  # pyright: ignore[reportMissingTypeStubs] - has none
import httpx
from moto.server import ThreadedMotoServer

from components.addons.loki import LOKI_URL
from components.addons.otel_audit import AuditStream
from components.addons.otel_collector import agent_values, gateway_values
from components.addons.otel_pipelines import OTLP_GRPC
from rehearsal.collector.loopback import LOOPBACK, Place, ports
from rehearsal.collector.pod_logs import PodLog
from rehearsal.collector.process import Collector
from rehearsal.collector.sink import Sink
from rehearsal.toolchain import find_tools

NAMESPACE: Final = "llm-prod"
BUCKET: Final = "acme-audit"
KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, kw_only=True)
class World:
    """All of it. `s3`: a client of the bucket's server."""

    agent: Collector
    gateway: Collector
    sink: Sink
    s3: Any
    logs: Path

    def container(self, namespace: str, pod: str, name: str) -> PodLog:
        """Return the log of a container that has written nothing yet."""
        return PodLog(root=self.logs, namespace=namespace, pod=pod, container=name)

    def audit_lines(self) -> list[str]:
        """Return what is in the bucket."""
        found: list[str] = []
        for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            body: bytes = self.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
            found += gzip.decompress(body).decode().splitlines()
        return found


def agent_chart() -> dict[str, Any]:
    """Return the agent's values in a stack with an audit stream."""
    stream = AuditStream(bucket=BUCKET, region="us-east-1", namespace=NAMESPACE)
    return agent_values(monitored=True, audit=stream)


@contextlib.contextmanager
def world(folder: Path) -> Generator[World]:
    """Run it."""
    binary = find_tools(["otelcol"]).bin("otelcol")
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    sink = Sink()
    host, port = server.get_host_and_port()
    s3 = cast("Any", boto3).client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - the server takes any
    )
    try:
        # It remembers the buckets of a server that this process had before.
        httpx.post(f"http://{host}:{port}/moto-api/reset", trust_env=False).raise_for_status()
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        lock = {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        }
        s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
        logs = folder / "pods"
        logs.mkdir(parents=True)
        values = gateway_values(logs=True, traces=False, replicas=1, monitored=True)
        # It masks too. Here it does not, so that what arrives is what has left the node.
        for pipeline in values["alternateConfig"]["service"]["pipelines"].values():
            pipeline["processors"].remove("redaction")
        gateway = Collector(
            binary,
            values["alternateConfig"],
            Place(folder=folder / "gateway", logs=logs, ports=ports(), texts={LOKI_URL: sink.url}),
        )
        chart = agent_chart()
        configuration = cast("dict[str, Any]", json.loads(json.dumps(chart["alternateConfig"])))
        to_s3 = configuration["exporters"]["awss3/audit"]
        to_s3["s3uploader"] |= {"endpoint": f"http://{host}:{port}", "s3_force_path_style": True}
        # Nobody waits a minute for a test.
        to_s3["sending_queue"]["batch"]["flush_timeout"] = "1s"
        agent = Collector(
            binary,
            configuration,
            Place(
                folder=folder / "agent",
                logs=logs,
                ports=ports(),
                texts={OTLP_GRPC: f"{LOOPBACK}:{gateway.place.ports.grpc}"},
            ),
            arguments=chart["command"]["extraArgs"],
            environment=KEYS,
        )
        with sink, gateway, agent:
            yield World(agent=agent, gateway=gateway, sink=sink, s3=s3, logs=logs)
    finally:
        sink.close()
        server.stop()


def until(done: Callable[[], bool], *, seconds: float = 120) -> None:
    """Wait. What is then so is the test's to say."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.25)
