"""How long metrics, logs and traces are kept, and where."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section
from settings.scalars import MemoryQuantity
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket

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


class Observability(Section):
    """`store`: of logs and traces; metrics always lie on volumes."""

    store: TelemetryStore = VolumeStore(kind="volumes")
    metrics: Kept = Kept(days=15, volume="100Gi")
    logs: Kept = Kept(days=30, volume="50Gi")
    traces: Kept = Kept(days=7, volume="50Gi")
