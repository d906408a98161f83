"""Arguments of add-ons: what the table gives each for a stack, with names in the place of what is made first."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.addons.namespaces import AddonNamespace, AddonNamespaceArgs
from components.addons.rate_limiter import RateLimitStore, RateLimitStoreArgs
from components.addons.table import UNITS, Row, Site
from components.aws.volume_class import VolumeClass, VolumeClassArgs
from components.database import Database, DatabaseArgs
from settings import Settings
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.database import Backups, Postgres
from settings.storage import CreatedBucket

POSTGRES: Final = Postgres(
    kind="postgres",
    backups=Backups(kind="s3", bucket=CreatedBucket(kind="created", name="acme-llm-backups")),
)


def addon_args(settings: Settings, unit: str, row: Row, **changes: object) -> Any:  # noqa: ANN401 - of many types
    """Return a unit's arguments for a stack."""
    site = Site(settings=settings, storage_class="gp3", vault_key="llm-prod-vault")
    common: dict[str, object] = {
        "charts": settings.charts,
        "namespace": ADDON_NAMESPACES[unit],
        "monitored": True,
    }
    make = cast("Callable[..., Any]", row.args)
    return make(**{**common, **dict(row.own(site)), **changes})


def _factory(unit: str, row: Row) -> Callable[[Settings], Any]:
    return lambda settings: addon_args(settings, unit, row)


FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    **{
        cast("type[pulumi.ComponentResource]", row.component): _factory(unit, row)
        for unit, row in UNITS.items()
    },
    AddonNamespace: lambda _: AddonNamespaceArgs(name="monitoring"),
    RateLimitStore: lambda _: RateLimitStoreArgs(namespace="envoy-gateway-system", image="valkey:1"),
    VolumeClass: lambda _: VolumeClassArgs(name="gp3"),
    Database: lambda s: DatabaseArgs(
        postgres=POSTGRES,
        region=s.cluster.region,
        storage_class="gp3",
        zones=s.cluster.zones,
        protect=True,
    ),
}
