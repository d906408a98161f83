"""Data that the platform keeps for those who call it: the database of retrieval, where the stack asks for one.

A function that wires components.
"""

from collections.abc import Mapping

import pulumi

from components.addons.pattern import Addon
from components.addons.surroundings import Surroundings
from components.database import Database, DatabaseArgs, Delivery
from components.secret_delivery import SecretSource
from settings import RehearsalCluster, Settings
from settings.database import Postgres
from settings.needed_secrets import DATABASE
from settings.storage import EBS_CLASS


def create_database(
    settings: Settings,
    around: Surroundings,
    addons: Mapping[str, Addon],
    secrets: SecretSource,
    on_cluster: pulumi.ResourceOptions,
) -> None:
    """Create it, once its operator runs and its pods would get their rights."""
    if not isinstance(settings.database, Postgres):
        return

    operators = [addons[unit] for unit in ("cloudnative-pg", "cloudnative-pg-backups") if unit in addons]
    args = DatabaseArgs(
        postgres=settings.database,
        region=settings.cluster.region,
        storage_class=settings.storage.volume_class or (EBS_CLASS if around.volumes else None),
        zones=settings.cluster.zones,
        after=[*operators, *around.nodes, *around.volumes, *around.access.get(DATABASE, ())],
        protect=settings.deletion_protection,
        monitored=settings.asked.choice("prometheus") != "off",
        # In a rehearsal nobody acts on it.
        awaited=not isinstance(settings.cluster, RehearsalCluster),
        deliver=_delivery(addons, secrets),
    )
    Database("database", args, on_cluster)


def _delivery(addons: Mapping[str, Addon], secrets: SecretSource) -> Delivery | None:
    """Return what brings its Secrets once its namespace is there, where it needs some."""
    reads = secrets.of(DATABASE)
    if not reads:
        return None
    return lambda namespace, opts: secrets.deliver(reads, namespace, addons, opts)
