"""Which Secrets what a stack runs needs, and who reads each: from the settings that name them, and from nowhere else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from settings.addon_choices import Asked
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.database import Backups, Database, Postgres
from settings.gateway import Gateway
from settings.gateways import AnyGateway
from settings.kong import KongGateway, RedisCounters
from settings.limits import ExternalStore
from settings.observability import Observability
from settings.quotas import request_limits
from settings.storage import CompatibleBucket, Storage

STORE_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Keys of the Secret that a store's credentials lie in, and the variables that they become."""
TOKEN_KEY: Final = "token"  # noqa: S105 - of the Secret with a hub's token
HARBOR_SECRET: Final = "harbor-admin"  # noqa: S105 - the name of a Secret
HARBOR_KEYS: Final[Mapping[str, str]] = {
    "HARBOR_ADMIN_PASSWORD": "password of the user `admin`",
    "secretKey": "16 characters, encrypts what Harbor stores",
    "secret": "16 characters, between its parts",
    "CSRF_KEY": "32 characters, of the console's forms",
    "JOBSERVICE_SECRET": "16 characters, between its parts",
    "REGISTRY_HTTP_SECRET": "16 characters, of uploads",
    "REGISTRY_PASSWD": "password of `harbor_registry_user`, by which the core asks the registry",
    "REGISTRY_HTPASSWD": "the same as a line of `htpasswd -nbB`",
    "password": "of the database",
    "tls.key": "RSA key that signs tokens",
    "tls.crt": "its certificate, by which the registry checks them",
}
GRAFANA_SECRET: Final = "grafana-admin"  # noqa: S105 - the name of a Secret
GRAFANA_KEYS: Final = ("admin-user", "admin-password")
MODELS: Final = "models"
"""Stands beside the units among those who read a Secret, as DATABASE and GATEWAY do."""
DATABASE: Final = "database"
GATEWAY: Final = "gateway"


@dataclass(frozen=True, kw_only=True)
class NeededSecret:
    """One Secret. `setting`: what asks for it, as the stack file spells it. `users`: units, MODELS or DATABASE.

    from_store: only where secrets come from a store; elsewhere the chart makes one of its own.
    """

    namespace: str
    name: str
    keys: tuple[str, ...]
    setting: str
    users: frozenset[str]
    from_store: bool = False

    def config_names(self) -> dict[str, str]:
        """Return what the stack's own secrets of it are called, by key."""
        return {key: f"{self.name}.{key}" for key in self.keys}


def needed_secrets(
    *,
    namespace: str,
    storage: Storage,
    observability: Observability,
    database: Database,
    gateway: AnyGateway,
    asked: Asked,
) -> tuple[NeededSecret, ...]:
    """Return them, one a name and namespace, in the order of both. `namespace`: of the models."""
    found: dict[tuple[str, str], NeededSecret] = {}
    for one in (
        *_of_models(namespace, storage, asked),
        *_of_addons(observability, asked),
        *_of_gateway(namespace, gateway, asked),
        *_of_database(database),
    ):
        place = (one.namespace, one.name)
        found[place] = _joined(found[place], one) if place in found else one
    return tuple(found[place] for place in sorted(found))


def _joined(first: NeededSecret, second: NeededSecret) -> NeededSecret:
    """Two that ask for the same Secret: it has the keys of both."""
    return NeededSecret(
        namespace=first.namespace,
        name=first.name,
        keys=tuple(dict.fromkeys((*first.keys, *second.keys))),
        setting=first.setting,
        users=first.users | second.users,
        from_store=first.from_store and second.from_store,
    )


def _of_models(namespace: str, storage: Storage, asked: Asked) -> Iterator[NeededSecret]:
    models = frozenset({MODELS})
    fetch = storage.fetch
    if fetch is not None and fetch.hub_token_secret is not None and any(m.fill for m in asked.models):
        setting = "storage.fetch.hub_token_secret"
        yield NeededSecret(
            namespace=namespace, name=fetch.hub_token_secret, keys=(TOKEN_KEY,), setting=setting, users=models
        )
    if isinstance(storage.bucket, CompatibleBucket) and any(m.read_from_s3 for m in asked.models):
        yield _store_keys(namespace, storage.bucket, "storage.bucket", models)


def _of_addons(observability: Observability, asked: Asked) -> Iterator[NeededSecret]:
    managed = {unit.name for unit in asked.units("managed")}
    if isinstance(observability.store, CompatibleBucket) and (users := managed & {"loki", "tempo"}):
        yield _store_keys(ADDON_NAMESPACES["loki"], observability.store, "observability.store", users)
    if "harbor" in managed:
        yield NeededSecret(
            namespace=ADDON_NAMESPACES["harbor"],
            name=HARBOR_SECRET,
            keys=tuple(HARBOR_KEYS),
            setting="addons.harbor",
            users=frozenset({"harbor"}),
        )
    if "prometheus" in managed:
        yield NeededSecret(
            namespace=ADDON_NAMESPACES["prometheus"],
            name=GRAFANA_SECRET,
            keys=GRAFANA_KEYS,
            setting="addons.prometheus",
            users=frozenset({"prometheus"}),
            from_store=True,
        )
        yield from _of_receivers(observability)


def _of_receivers(observability: Observability) -> Iterator[NeededSecret]:
    alerting = observability.alerting
    for receiver, secret, key in alerting.secrets() if alerting is not None else ():
        yield NeededSecret(
            namespace=ADDON_NAMESPACES["prometheus"],
            name=secret,
            keys=(key,),
            setting=f"observability.alerting.receivers[{receiver}].secret",
            users=frozenset({"prometheus"}),
        )


def _of_gateway(namespace: str, gateway: AnyGateway, asked: Asked) -> Iterator[NeededSecret]:
    if isinstance(gateway, Gateway):
        limits = request_limits(gateway, asked.choice("envoy_gateway"))
        store = limits.store if limits is not None else None
        managed = asked.choice("envoy_gateway") == "managed"
        if managed and isinstance(store, ExternalStore) and store.password_secret is not None:
            yield NeededSecret(
                namespace=ADDON_NAMESPACES["envoy-gateway"],
                name=store.password_secret,
                keys=("password",),
                setting="gateway.limits.store.password_secret",
                users=frozenset({"envoy-gateway"}),
            )
    counters = gateway.limits.counters if isinstance(gateway, KongGateway) else None
    if isinstance(counters, RedisCounters) and counters.password_secret is not None:
        yield NeededSecret(
            namespace=namespace,
            name=counters.password_secret,
            keys=("password",),
            setting="gateway.limits.counters.password_secret",
            users=frozenset({GATEWAY}),
        )


def _of_database(database: Database) -> Iterator[NeededSecret]:
    if not isinstance(database, Postgres) or not isinstance(database.backups, Backups):
        return
    bucket = database.backups.bucket
    if isinstance(bucket, CompatibleBucket):
        yield _store_keys(database.namespace, bucket, "database.backups.bucket", {DATABASE})


def _store_keys(
    namespace: str, bucket: CompatibleBucket, setting: str, users: frozenset[str] | set[str]
) -> NeededSecret:
    return NeededSecret(
        namespace=namespace,
        name=bucket.credentials_secret,
        keys=STORE_KEYS,
        setting=f"{setting}.credentials_secret",
        users=frozenset(users),
    )
