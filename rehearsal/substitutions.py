"""What a rehearsal puts in the place of what a stack asks for: ONE table, read by the rehearsal, printed to its user.

A row either swaps a section of the stack file (`swap`) or only says what stands in for something that the settings name and the simulated cluster
answers differently. Everything that no row names is the stack's own, byte for byte.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from settings.addon_choices import choices_of
from settings.database import Backups, Postgres
from settings.stack import Settings
from settings.storage import CreatedBucket, ExistingBucket

Config = dict[str, Any]
KEY_PREFIX = "vllm-platform:"


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """One applied row: what the stack says, what the rehearsal does, and what therefore is not shown."""

    what: str
    stack: str
    rehearsal: str
    not_exercised: str


@dataclass(frozen=True, kw_only=True)
class _Row:
    """`applies` gives the stack's own value in words, or None when there is nothing to substitute.

    `swap` gives the section's new value, None to leave it out.
    """

    what: str
    applies: Callable[[Settings], str | None]
    rehearsal: str
    not_exercised: str
    section: str = ""
    swap: Callable[[Settings, str], Config | None] | None = None


def _cluster(settings: Settings, name: str) -> Config:
    cluster = settings.cluster
    version = {} if cluster.kind == "existing" else {"version": cluster.version}
    return {
        "kind": "rehearsal",
        "name": name,
        "region": cluster.region,
        "zones": list(cluster.zones),
        **version,
    }


def _registry(settings: Settings, _: str) -> Config:
    # The same host, so that image references are those of the stack; only the repository in ECR is not created.
    return {"kind": "external", "host": settings.registry.host}


def _storage(settings: Settings, _: str) -> Config:
    """The stack's storage without what AWS makes. The claim stays: it is bound by the real controller, and pods wait for it."""
    own = settings.storage
    bucket = own.bucket.model_dump() if own.bucket.kind == "compatible" else {"kind": "off"}
    shared = own.shared.model_dump()
    if own.shared.kind == "efs":
        # The top-level domain is reserved: nobody can have such a server.
        shared |= {"kind": "nfs", "server": "nfs.invalid", "path": "/models"}
    return {"bucket": bucket, "shared": shared}


def _aws_storage(settings: Settings) -> str | None:
    bucket, shared = settings.storage.bucket, settings.storage.shared
    found = (
        [f"bucket {bucket.name} ({bucket.kind})"]
        if isinstance(bucket, CreatedBucket | ExistingBucket)
        else []
    )
    found += [f"efs behind {shared.claim}"] if shared.kind == "efs" else []
    return ", ".join(found) or None


def _addons(settings: Settings, _: str) -> Config | None:
    """Only what serves the models, and the kinds of what the program makes objects of."""
    return {"cloudnative_pg": "existing"} if settings.database.kind == "postgres" else None


def _managed_addons(settings: Settings) -> str | None:
    if settings.cluster.kind == "rehearsal":
        return None
    found = [f"{name} ({choice})" for name, choice in choices_of(settings.asked).items() if choice != "off"]
    return ", ".join(found) or None


def _observability(settings: Settings, _: str) -> Config:
    return settings.observability.model_dump(mode="json") | {"store": {"kind": "volumes"}}


def _telemetry_bucket(settings: Settings) -> str | None:
    store = settings.observability.store
    return (
        f"bucket {store.name} ({store.kind})" if isinstance(store, CreatedBucket | ExistingBucket) else None
    )


def _database(settings: Settings, _: str) -> Config:
    """The same database, with its backups in a store that is not there: the top-level domain is reserved."""
    own = settings.database.model_dump(mode="json")
    elsewhere = {"endpoint": "https://s3.invalid", "credentials_secret": "backup-store"}
    bucket = {"kind": "compatible", "name": own["backups"]["bucket"]["name"], **elsewhere}
    return own | {"backups": own["backups"] | {"bucket": bucket}}


def _backup_bucket(settings: Settings) -> str | None:
    if not isinstance(settings.database, Postgres) or not isinstance(settings.database.backups, Backups):
        return None
    bucket = settings.database.backups.bucket
    return (
        f"bucket {bucket.name} ({bucket.kind})"
        if isinstance(bucket, CreatedBucket | ExistingBucket)
        else None
    )


def _edge(settings: Settings) -> str | None:
    return f"cloudfront, {settings.edge.domain}" if settings.edge.kind == "cloudfront" else None


def _pools(settings: Settings, kind: str) -> str | None:
    found = [p.name for p in settings.pools if p.provisioner.kind == kind]
    return f"{kind}: {', '.join(found)}" if found else None


def _capacity(settings: Settings) -> str | None:
    found = [f"{p.name} ({p.capacity.kind})" for p in settings.pools if p.capacity.kind != "on-demand"]
    return ", ".join(found) or None


def _example_digests(settings: Settings) -> str | None:
    return ", ".join(settings.example_digests()) or None


def _scalers(settings: Settings) -> str | None:
    found = [m.name for m in settings.enabled_models if m.autoscaling.kind == "hpa"]
    return f"hpa: {', '.join(found)}" if found else None


def _weights(settings: Settings) -> str | None:
    found = [f"{m.name} ({m.weights.kind})" for m in settings.enabled_models]
    return ", ".join(found) or None


TABLE: tuple[_Row, ...] = (
    _Row(
        what="cluster",
        section="cluster",
        swap=_cluster,
        applies=lambda s: None if s.cluster.kind == "rehearsal" else f"{s.cluster.kind}, {s.cluster.region}",
        rehearsal="embedded API server, scheduler, controllers and KServe on loopback",
        not_exercised="AWS network, IAM, EKS and its add-ons, private endpoint, upgrades",
    ),
    _Row(
        what="registry",
        section="registry",
        swap=_registry,
        applies=lambda s: f"ecr {s.registry.host}" if s.registry.kind == "ecr" else None,
        rehearsal="the same host as plain text; nothing is built, pushed or pulled",
        not_exercised="image build, push, pull, pull rights",
    ),
    _Row(
        what="storage",
        section="storage",
        swap=_storage,
        applies=_aws_storage,
        rehearsal="no bucket; the shared directory's volume and claim are real objects of kind nfs, bound and never mounted",
        not_exercised="S3, EFS, their encryption and rights, reading of weights",
    ),
    _Row(
        what="edge",
        section="edge",
        swap=lambda _, __: {"kind": "off"},
        applies=_edge,
        rehearsal="off",
        not_exercised="firewall, CloudFront, load balancer, certificates, DNS",
    ),
    _Row(
        what="add-ons",
        section="addons",
        swap=_addons,
        applies=_managed_addons,
        rehearsal="KServe's controller as a process; no chart is installed, for no simulated pod would answer its webhooks",
        not_exercised="charts, operators, mesh, gateway, metrics, logs, traces, secrets",
    ),
    _Row(
        what="logs and traces",
        section="observability",
        swap=_observability,
        applies=_telemetry_bucket,
        rehearsal="no bucket",
        not_exercised="S3, its encryption and rights",
    ),
    _Row(
        what="database's backups",
        section="database",
        swap=_database,
        applies=_backup_bucket,
        rehearsal="the real kinds of CloudNativePG take the objects; no operator acts on them",
        not_exercised="PostgreSQL, its replicas, backups and recovery",
    ),
    _Row(
        what="state",
        section="state",
        swap=lambda _, __: None,
        applies=lambda s: None if s.state is None else s.state.backend,
        rehearsal="files below .rehearsal/, encrypted with a throwaway passphrase",
        not_exercised="the shared backend, its locks, the key of the secrets",
    ),
    _Row(
        what="elastic nodes",
        applies=lambda s: _pools(s, "karpenter"),
        rehearsal="every node of the pool's maximum stands from the start",
        not_exercised="Karpenter, node start-up time, capacity shortage, consolidation",
    ),
    _Row(
        what="fixed nodes",
        applies=lambda s: _pools(s, "managed"),
        rehearsal="simulated nodes with the instance type's real sizes",
        not_exercised="managed node groups, AMIs, node repair",
    ),
    _Row(
        what="capacity",
        applies=_capacity,
        rehearsal="plain nodes that carry the capacity's label",
        not_exercised="Spot interruption, reservations, Capacity Blocks",
    ),
    _Row(
        what="example digests",
        applies=_example_digests,
        rehearsal="accepted, because no image is pulled (a real `up` refuses them)",
        not_exercised="whether the images exist",
    ),
    _Row(
        what="pods",
        applies=_weights,
        rehearsal="KWOK reports each scheduled pod as running and ready at once",
        not_exercised="images, weights, engine start, probes, preStop, drain, data path, GPU drivers",
    ),
    _Row(
        what="scaler's metrics",
        applies=_scalers,
        rehearsal="the real HPA controller holds the minimum, for there are no metrics",
        not_exercised="DCGM, Prometheus Adapter, scaling on load",
    ),
)


def substitute(config: Mapping[str, Any], settings: Settings, name: str) -> tuple[Config, list[Substitution]]:
    """The stack file's `config` for a rehearsal cluster called `name`, and the rows that apply. The input is not changed."""
    result: Config = deepcopy(dict(config))
    applied: list[Substitution] = []
    for row in TABLE:
        value = row.applies(settings)
        if value is None:
            continue
        if row.swap is not None:
            key, swapped = f"{KEY_PREFIX}{row.section}", row.swap(settings, name)
            if swapped is None:
                result.pop(key, None)
            else:
                result[key] = swapped
        applied.append(
            Substitution(what=row.what, stack=value, rehearsal=row.rehearsal, not_exercised=row.not_exercised)
        )
    return result, applied
