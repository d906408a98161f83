"""How long metrics, logs and traces are kept, and where; of which requests there are traces; who is told of alerts."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.alerting import Alerting
from settings.base import Section, refusal
from settings.scalars import MemoryQuantity, ServiceUrl
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket


def _published(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise refusal(
            "an address with credentials in it, and everybody who gets an alert would read them",
            "write the address alone",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise refusal(
            "not the address of a folder: the name of an alert and `.md` are written behind it",
            "write e.g. 'https://git.example.com/llm/vllm-platform/blob/main/docs/runbooks'",
        )
    return value.rstrip("/")


Days = Annotated[int, Field(strict=True, ge=1, le=3650)]


class VolumeStore(Section):
    """Logs and traces lie on one volume each, of one replica: enough for development."""

    kind: Literal["volumes"]


TelemetryStore = Annotated[
    VolumeStore | CreatedBucket | ExistingBucket | CompatibleBucket, Field(discriminator="kind")
]


class Kept(Section):
    """`volume`: of each replica; what it holds is old after `days`."""

    days: Days
    volume: MemoryQuantity


class NoTracing(Section):
    """Nobody writes down the way of a request."""

    kind: Literal["off"]


class SampledTracing(Section):
    """Of every request gateway and engine write down how long each step took; which are kept is decided at a request's end.

    percent: of requests that nothing is remarkable about. slower_than_seconds: all that take longer are kept, as are failed ones.
    """

    kind: Literal["sampled"]
    percent: Annotated[float, Field(strict=True, ge=0, le=100)] = 5
    slower_than_seconds: Annotated[float, Field(strict=True, gt=0, le=3600)] = 30


Tracing = Annotated[NoTracing | SampledTracing, Field(discriminator="kind")]


class Observability(Section):
    """`store`: of logs and traces; metrics always lie on volumes.

    prometheus_url: where a Prometheus that exists answers inside the cluster; None for the program's own.
    runbooks: where docs/runbooks is published, for links in alerts and dashboards; None writes the path alone.
    alerting: who is told of alerts; None is nobody, and Alertmanager shows them.
    """

    prometheus_url: ServiceUrl | None = None
    runbooks: Annotated[str, AfterValidator(_published)] | None = None
    alerting: Alerting | None = None
    store: TelemetryStore = VolumeStore(kind="volumes")
    metrics: Kept = Kept(days=15, volume="100Gi")
    logs: Kept = Kept(days=30, volume="50Gi")
    traces: Kept = Kept(days=7, volume="50Gi")
    tracing: Tracing = NoTracing(kind="off")
