"""Volumes that add-ons and the database keep their own data on: how many, and how large each is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from settings.database import Postgres
from settings.observability import TelemetryStore, VolumeStore
from settings.stack import Settings

REPLICAS: Final = {"dev": 1, "staging": 2, "prod": 2}
"""Of what can have several: so that the loss of a node, or of a zone, is not noticed."""
QUORUM: Final = 3
ALERTMANAGER_VOLUME: Final = "2Gi"
VAULT_VOLUME: Final = "10Gi"
HARBOR_VOLUMES: Final = {"registry": "200Gi", "database": "10Gi", "redis": "1Gi", "trivy": "10Gi"}
"""By the part that has it; `registry` holds the images."""


@dataclass(frozen=True, kw_only=True)
class KeptVolumes:
    """`count` volumes of one kind, each of `size`."""

    name: str
    count: int
    size: str


def loki_replicas(replicas: int, store: TelemetryStore) -> int:
    """Return how many there are. Ring and quorum want an odd number, and three at least."""
    return 1 if replicas == 1 or isinstance(store, VolumeStore) else max(QUORUM, replicas | 1)


def vault_replicas(replicas: int) -> int:
    """Return how many there are: one stays one, and of more there is a quorum."""
    return QUORUM if replicas > 1 else 1


def kept_volumes(settings: Settings) -> tuple[KeptVolumes, ...]:
    """Return the volumes of what this program installs."""
    return tuple(_kept(settings))


def _kept(settings: Settings) -> Iterator[KeptVolumes]:
    installed = {unit.addon for unit in settings.asked.units("managed")}
    replicas, kept = REPLICAS[settings.environment], settings.observability
    if "prometheus" in installed:
        yield KeptVolumes(name="prometheus", count=replicas, size=kept.metrics.volume)
        yield KeptVolumes(name="alertmanager", count=replicas, size=ALERTMANAGER_VOLUME)
    if "loki" in installed:
        yield KeptVolumes(name="loki", count=loki_replicas(replicas, kept.store), size=kept.logs.volume)
    if "tempo" in installed:
        yield KeptVolumes(name="tempo", count=1, size=kept.traces.volume)
    if "vault" in installed:
        yield KeptVolumes(name="vault", count=vault_replicas(replicas), size=VAULT_VOLUME)
    if "harbor" in installed:
        for part, size in HARBOR_VOLUMES.items():
            yield KeptVolumes(name=f"harbor {part}", count=1, size=size)
    if isinstance(settings.database, Postgres):
        database = settings.database
        yield KeptVolumes(name=f"database {database.name}", count=database.instances, size=database.volume)
