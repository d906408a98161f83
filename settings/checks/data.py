"""Buckets and the database: that they belong to the cluster's kind, and that nothing is lost with one node or one bucket."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from settings.audit import S3Audit
from settings.checks.cluster import TAKEN_NAMESPACES
from settings.cluster import EksCluster
from settings.database import Backups, NoBackups, Postgres
from settings.draft import Draft
from settings.observability import VolumeStore
from settings.problems import Problem
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket

AMAZON: Final = ""

Bucket = CreatedBucket | ExistingBucket | CompatibleBucket
AUDIT: Final = "audit.bucket"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of what logs, traces and the database are kept in."""
    if draft.cluster is None:
        return []
    return [*_database(draft), *_kinds(draft), *_shared(draft)]


def _buckets(draft: Draft) -> dict[str, Bucket]:
    """Return the buckets that the stack names, by path."""
    found: dict[str, Bucket] = {}
    if draft.storage is not None and draft.storage.bucket.kind != "off":
        found["storage.bucket"] = draft.storage.bucket
    if draft.observability is not None and not isinstance(draft.observability.store, VolumeStore):
        found["observability.store"] = draft.observability.store
    if isinstance(draft.database, Postgres) and isinstance(draft.database.backups, Backups):
        found["database.backups.bucket"] = draft.database.backups.bucket
    return found


def _kinds(draft: Draft) -> Iterable[Problem]:
    """What only AWS has can not be used on a cluster that somebody else made. The models' bucket is checked with the models."""
    if isinstance(draft.cluster, EksCluster):
        return
    for path, bucket in _buckets(draft).items():
        if path != "storage.bucket" and not isinstance(bucket, CompatibleBucket):
            reason = (
                "on a cluster that the program does not create, no role could be given to who writes there"
            )
            fix = "use `compatible` with a Secret" + (
                ", or `volumes`" if path == "observability.store" else ""
            )
            yield Problem(f"{path}.kind", bucket.kind, reason, fix)


def _shared(draft: Draft) -> Iterable[Problem]:
    """Who deletes what is old in a bucket must be alone in it; two that create one can not both succeed."""
    seen = _state_bucket(draft)
    for path, bucket in _buckets(draft).items():
        endpoint = bucket.endpoint if isinstance(bucket, CompatibleBucket) else AMAZON
        first = seen.setdefault((endpoint, bucket.name), path)
        if first != path:
            reason = (
                f"{first} is in this bucket already, and each deletes what it takes for its own old objects"
            )
            yield Problem(f"{path}.name", bucket.name, reason, "give each a bucket of its own")
    # Its own bucket too, in which nothing can be deleted.
    if isinstance(draft.audit, S3Audit) and (first := seen.get((AMAZON, draft.audit.bucket))):
        reason = f"{first} is in this bucket, and could delete nothing there"
        yield Problem(AUDIT, draft.audit.bucket, reason, "give the audit log a bucket of its own")


def _state_bucket(draft: Draft) -> dict[tuple[str, str], str]:
    """Return the bucket of Pulumi's state, by endpoint and name: with it the whole stack would be forgotten."""
    if draft.state is None or draft.state.backend_kind != "s3":
        return {}
    url = urlsplit(draft.state.backend)
    endpoint = parse_qs(url.query).get("endpoint", [AMAZON])[0]
    return {(endpoint, url.netloc): "state.backend"}


def _database(draft: Draft) -> Iterable[Problem]:
    database = draft.database
    if not isinstance(database, Postgres):
        return
    if database.namespace in TAKEN_NAMESPACES or database.namespace == draft.namespace:
        owner = "the models" if database.namespace == draft.namespace else "Kubernetes or to the platform"
        yield Problem(
            "database.namespace",
            database.namespace,
            f"belongs to {owner}",
            "use one of its own, e.g. 'rag'",
        )
    if draft.environment in {None, "dev"}:
        return
    if isinstance(database.backups, NoBackups):
        reason = "outside of dev a database without a copy is one mistake away from being lost"
        fix = "write `backups: {kind: s3, bucket: {...}}`"
        yield Problem("database.backups.kind", "off", reason, fix)
    if database.instances == 1:
        reason = "with one instance the database is gone for as long as its node is"
        yield Problem("database.instances", 1, reason, "use 3, one in each of three zones, or 2")
