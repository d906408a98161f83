"""What a rehearsal puts in the place of what a stack asks for: ONE table, read by the rehearsal, printed to its user.

A row either swaps a section of the stack file (`swap`) or only says what stands in for something that the settings name and the simulated cluster
answers differently. Everything that no row names is the stack's own, byte for byte.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from rehearsal import stack_words as words
from settings.addon_choices import choices_of
from settings.database import Backups, Postgres
from settings.keda import KedaScaling
from settings.problems import is_secret
from settings.stack import Settings
from settings.storage import CreatedBucket, ExistingBucket

Config = dict[str, Any]
# The port of a service that throws everything away: on this machine nobody listens there, and no other is asked.
NO_PROMETHEUS = "http://127.0.0.1:9"
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
    fetch = {} if own.fetch is None else {"fetch": own.fetch.model_dump(mode="json", exclude_none=True)}
    return {"bucket": bucket, "shared": shared, **fetch}


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
    """Only what serves and scales the models, and the kinds of what the program makes objects of."""
    found = ["cloudnative_pg"] if settings.database.kind == "postgres" else []
    found += ["keda", "prometheus"] if _keda_scalers(settings) else []
    found += ["gateway_api", words.gateway_addon(settings)] if settings.routes else []
    found += ["istio"] if settings.meshed else []
    return dict.fromkeys(found, "existing") or None


def _keda_scalers(settings: Settings) -> dict[str, KedaScaling]:
    return {m.name: m.autoscaling for m in settings.deployed_models if isinstance(m.autoscaling, KedaScaling)}


def _managed_addons(settings: Settings) -> str | None:
    if settings.cluster.kind == "rehearsal":
        return None
    found = [f"{name} ({choice})" for name, choice in choices_of(settings.asked).items() if choice != "off"]
    return ", ".join(found) or None


def _observability(settings: Settings, _: str) -> Config:
    own = settings.observability.model_dump(mode="json", exclude_none=True)
    if _telemetry_bucket(settings):
        own["store"] = {"kind": "volumes"}
    if _signals(settings):
        own["prometheus_url"] = NO_PROMETHEUS
    own.pop("alerting", None)
    return own


def _receivers(settings: Settings) -> str | None:
    alerting = settings.observability.alerting
    return (
        None if alerting is None else ", ".join(f"{each.name} ({each.kind})" for each in alerting.receivers)
    )


def _signals(settings: Settings) -> str | None:
    """Where a stack's scalers ask; a stack that is made for the rehearsal says itself who answers."""
    scalers = _keda_scalers(settings)
    if settings.cluster.kind == "rehearsal" or not scalers:
        return None
    signals = sorted({signal for each in scalers.values() for signal in each.signals})
    return f"keda: {', '.join(scalers)} on {', '.join(signals)}"


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


def _gateway(settings: Settings, _: str) -> Config:
    """The same limits, written down, without what would count: the gateway of a rehearsal is nobody's."""
    limits = settings.request_limits
    own = settings.gateway.model_dump(mode="json", exclude_unset=True)
    if limits is not None:
        kept = {"kind", "requests_per_minute", "plans"}
        own["limits"] = limits.model_dump(mode="json", include=kept)
    return own


def _builds(settings: Settings, _: str) -> Config:
    """The stack's builds without what names a secret."""
    return settings.builds.model_dump(mode="json", exclude_none=True, exclude={"secrets", "login"})


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
        applies=words.edge,
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
        what="routes",
        applies=words.routes,
        rehearsal="the real kinds of the Gateway API take the objects; no proxy acts on them",
        not_exercised="the gateway, and so the shares of traffic: a weight is a number in an object",
    ),
    _Row(
        what="rate limits",
        section="gateway",
        swap=_gateway,
        applies=words.limits,
        rehearsal="the real kinds take the rules; no rate limiter and no Redis",
        not_exercised="the counting of requests, and what happens when nobody counts",
    ),
    _Row(
        what="mesh",
        applies=lambda s: "istio, ambient" if s.meshed else None,
        rehearsal="the real kinds of Istio take the objects of the models' namespace; no proxy acts on them",
        not_exercised="TLS between pods, and who may call whom: the rules are objects",
    ),
    _Row(
        what="network policies",
        applies=lambda s: None if s.security.rules is None else "default deny, and what the stack needs",
        rehearsal="real objects; simulated pods have no network that could be closed",
        not_exercised="the network plugin that enforces them",
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
        what="who is told of alerts",
        section="observability",
        swap=_observability,
        applies=_receivers,
        rehearsal="nobody: there is no Alertmanager",
        not_exercised="routes, messages, the receivers and their secrets",
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
        applies=lambda s: words.pools(s, "karpenter"),
        rehearsal="every node of the pool's maximum stands from the start",
        not_exercised="Karpenter, node start-up time, capacity shortage, consolidation",
    ),
    _Row(
        what="fixed nodes",
        applies=lambda s: words.pools(s, "managed"),
        rehearsal="simulated nodes with the instance type's real sizes",
        not_exercised="managed node groups, AMIs, node repair",
    ),
    _Row(
        what="capacity",
        applies=words.capacity,
        rehearsal="plain nodes that carry the capacity's label",
        not_exercised="Spot interruption, reservations, Capacity Blocks",
    ),
    _Row(
        what="example digests",
        applies=words.example_digests,
        rehearsal="accepted, because no image is pulled (a real `up` refuses them)",
        not_exercised="whether the images exist",
    ),
    _Row(
        what="images",
        applies=words.built_images,
        rehearsal="nothing is built, and models name what a build would push",
        not_exercised="the build, the fetch of weights, the push",
    ),
    _Row(
        what="audit stream",
        section="audit",
        swap=lambda _, __: None,
        applies=lambda s: f"{s.audit.kind}" if s.audit.kind != "off" else None,
        rehearsal="left out",
        not_exercised="the audit log of the API, its delivery, its bucket that is written once",
    ),
    _Row(
        what="store of secrets",
        section="secrets",
        swap=lambda _, __: None,
        applies=words.store,
        rehearsal="no Secret is made; simulated pods read none",
        not_exercised="the store, its rights, External Secrets, whether a secret is there",
    ),
    _Row(
        what="secrets",
        section="builds",
        swap=_builds,
        applies=lambda s: ", ".join(s.secret_names) or None,
        rehearsal="left out: the rehearsal has no key to them",
        not_exercised="logins at the registry and at hubs",
    ),
    _Row(
        what="weights' Jobs",
        applies=words.fills,
        rehearsal="real Jobs, of which KWOK reports each pod as done at once",
        not_exercised="hubs and their tokens, the fetch, its checks, the rename that makes a model visible",
    ),
    _Row(
        what="pods",
        applies=words.weights,
        rehearsal="KWOK reports each scheduled pod as running and ready at once",
        not_exercised="images, weights, engine start, probes, preStop, drain, data path, GPU drivers",
    ),
    _Row(
        what="scaler's signals",
        section="observability",
        swap=_observability,
        applies=_signals,
        rehearsal="KEDA's operator, server of metrics and webhooks as processes; where they ask for signals nobody answers, so the fallback holds",
        not_exercised="Prometheus, what engines and gateway report, scaling on load",
    ),
    _Row(
        what="scaler's metrics",
        applies=words.scalers,
        rehearsal="the real HPA controller holds the minimum, for there are no metrics",
        not_exercised="DCGM, Prometheus Adapter, scaling on load",
    ),
)


def substitute(config: Mapping[str, Any], settings: Settings, name: str) -> tuple[Config, list[Substitution]]:
    """The stack file's `config` for a rehearsal cluster called `name`, and the rows that apply. The input is not changed."""
    # A secret is encrypted for the stack's own key, which a rehearsal does not have.
    result: Config = {key: deepcopy(value) for key, value in config.items() if not is_secret(value)}
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
