"""The database of retrieval (RAG): PostgreSQL with pgvector, on CloudNativePG."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section
from settings.observability import Days
from settings.scalars import DatabaseName, MemoryQuantity, Namespace
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket


class NoBackups(Section):
    """Nothing is copied out of the cluster: only in `dev`."""

    kind: Literal["off"]


class Backups(Section):
    """A copy a day, and the log of every change in between: any moment of the last `days` can be brought back."""

    kind: Literal["s3"]
    bucket: Annotated[CreatedBucket | ExistingBucket | CompatibleBucket, Field(discriminator="kind")]
    days: Days = 30


class NoDatabase(Section):
    """No database."""

    kind: Literal["off"]


class Postgres(Section):
    """One primary and its replicas, in zones of their own where there are enough. `volume`: of each instance."""

    kind: Literal["postgres"]
    name: DatabaseName = "rag"
    namespace: Namespace = "rag"
    instances: Annotated[int, Field(strict=True, ge=1, le=9)] = 3
    volume: MemoryQuantity = "50Gi"
    backups: Annotated[NoBackups | Backups, Field(discriminator="kind")]


Database = Annotated[NoDatabase | Postgres, Field(discriminator="kind")]
