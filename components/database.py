"""The database of retrieval: PostgreSQL 18 with pgvector, on CloudNativePG.

Owns: its namespace, the cluster of instances, the database in it with the extension, who reads its metrics, and
where asked for the copies: to which bucket, how often, for how long. Does not own: the operator and its plugin
(`addons.cloudnative_pg`), the bucket, and the right to write to it.

The image has pgvector in it. It could be mounted from an image of its own beside a smaller one, but not on every
cluster: that needs Kubernetes 1.35 and containerd 2.1.

The operator makes the password of the database's owner, in the Secret NAME-app; nobody else ever knows it. On S3
the instances write under the account NAME, which must have its role before the first one starts. The keys of any
other store lie in a Secret of the database's namespace.

A copy is never written over: a cluster that is made anew under the same name finds the old one's log in the bucket
and refuses to start archiving. Bring the old one back, or move its folder away.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.cloudnative_pg import BACKUP_PLUGIN
from components.model_namespace import namespace_labels
from settings.database import Backups, Postgres
from settings.storage import CompatibleBucket

IMAGE: Final = "ghcr.io/cloudnative-pg/postgresql:18.6-standard-trixie"
"""`standard` has pgvector, `minimal` has not. Built anew every week under the same name, for Debian's security fixes."""
POSTGRES_API: Final = "postgresql.cnpg.io/v1"
BACKUP_API: Final = "barmancloud.cnpg.io/v1"
MONITORING_API: Final = "monitoring.coreos.com/v1"
FOLDER: Final = "postgres"
"""Of the bucket. The plugin makes one below it for each cluster."""
EVERY_NIGHT: Final = "0 0 2 * * *"
"""At two, UTC. It begins with the seconds, unlike a CronJob's."""
WAIT_FOR: Final = {"pulumi.com/waitFor": "condition=Ready"}
START_SECONDS: Final = 1800
"""For all instances: volumes and nodes are made first, and each replica copies the primary."""


Delivery = Callable[[pulumi.Input[str], pulumi.ResourceOptions], pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """`region` of a bucket on S3. `storage_class`: None is the cluster's default. `zones` that nodes are in.

    after: the operator, its plugin, and the role of the account. monitored: the cluster knows PodMonitors.
    deliver: brings the Secrets of its namespace.
    protect: no `pulumi destroy` takes the data. awaited: until the operator calls it ready, so not where none runs.
    """

    postgres: Postgres
    region: str
    storage_class: str | None
    zones: tuple[str, ...]
    protect: bool
    after: Sequence[pulumi.Resource] = ()
    monitored: bool = False
    awaited: bool = False
    deliver: Delivery | None = None


class Database(pulumi.ComponentResource):
    """Makes it. `host` takes writes; `credentials` names the Secret with user and password. Both are known once it is there."""

    host: pulumi.Output[str]
    credentials: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:data:Database", name, {}, opts)
        self._name = name
        self._args = args
        postgres = args.postgres
        namespace = Namespace(
            f"{name}-namespace",
            metadata={"name": postgres.namespace, "labels": namespace_labels()},
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self._namespace = namespace.metadata.name
        # The operator: its webhooks check what follows.
        before: list[pulumi.Resource] = [*args.after]
        if args.deliver is not None:
            before.append(args.deliver(self._namespace, pulumi.ResourceOptions(parent=self)))
        backups = postgres.backups if isinstance(postgres.backups, Backups) else None
        if backups is not None:
            store = store_spec(backups, region=args.region)
            # The instances' pods read it when they start.
            before = [self._object("store", BACKUP_API, "ObjectStore", store, before)]
        cluster = self._cluster(before)
        self._object("database", POSTGRES_API, "Database", database_spec(postgres), [cluster])
        if backups is not None:
            self._object("copies", POSTGRES_API, "ScheduledBackup", schedule_spec(postgres), [cluster])
        if args.monitored:
            self._object("metrics", MONITORING_API, "PodMonitor", monitor_spec(postgres), before)
        running = pulumi.Output.all(self._namespace, cluster.id).apply(lambda known: str(known[0]))
        self.host = running.apply(lambda where: f"{postgres.name}-rw.{where}.svc")
        self.credentials = running.apply(lambda _: f"{postgres.name}-app")
        self.register_outputs({"host": self.host, "credentials": self.credentials})

    def _cluster(self, after: Sequence[pulumi.Resource]) -> CustomResource:
        args = self._args
        spec = cluster_spec(args.postgres, storage_class=args.storage_class, zones=args.zones)
        limit = f"{START_SECONDS}s"
        return CustomResource(
            f"{self._name}-cluster",
            api_version=POSTGRES_API,
            kind="Cluster",
            metadata=self._metadata(WAIT_FOR if args.awaited else None),
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*after],
                # With it the operator deletes the volumes.
                protect=args.protect,
                custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
            ),
        )

    def _object(
        self, role: str, api: str, kind: str, spec: Mapping[str, Any], after: Sequence[pulumi.Resource]
    ) -> CustomResource:
        """Make what holds no data: it may go when the stack no longer asks for it."""
        return CustomResource(
            f"{self._name}-{role}",
            api_version=api,
            kind=kind,
            metadata=self._metadata(),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*after]),
        )

    def _metadata(self, annotations: Mapping[str, str] | None = None) -> ObjectMetaArgs:
        return ObjectMetaArgs(
            name=self._args.postgres.name, namespace=self._namespace, annotations=annotations
        )


def cluster_spec(postgres: Postgres, *, storage_class: str | None, zones: tuple[str, ...]) -> dict[str, Any]:
    """Return the instances. They run restricted by the operator's own defaults, and tolerate nothing."""
    several = postgres.instances > 1
    storage: dict[str, Any] = {"size": postgres.volume}
    if storage_class is not None:
        storage["storageClass"] = storage_class
    settings: dict[str, Any] = {
        # A quarter of the memory, as PostgreSQL's manual has it; the second builds an HNSW index without going to disk.
        "parameters": {"shared_buffers": "512MB", "maintenance_work_mem": "512MB"}
    }
    spec: dict[str, Any] = {
        "imageName": IMAGE,
        "instances": postgres.instances,
        "bootstrap": {"initdb": {"database": postgres.name, "owner": postgres.name, "dataChecksums": True}},
        "enableSuperuserAccess": False,
        # For one instance it would be a budget of 0, and its node could never be drained.
        "enablePDB": several,
        "storage": storage,
        "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
        "postgresql": settings,
    }
    if several:
        # A commit is on two instances, so that the loss of the primary loses none; with only one left, it goes on alone.
        settings["synchronous"] = {"method": "any", "number": 1, "dataDurability": "preferred"}
    if several and len(zones) > 1:
        # Must, not should: an instance stays where its volume is.
        spec["topologySpreadConstraints"] = [_over_zones(postgres.name)]
    if isinstance(postgres.backups, Backups):
        spec["plugins"] = [
            {
                "name": BACKUP_PLUGIN,
                "isWALArchiver": True,
                "parameters": {"barmanObjectName": postgres.name},
            }
        ]
    return spec


def database_spec(postgres: Postgres) -> dict[str, Any]:
    """Return the database, which the first instance makes, with its extension; without this object it stays."""
    return {
        "name": postgres.name,
        "owner": postgres.name,
        "cluster": {"name": postgres.name},
        "databaseReclaimPolicy": "retain",
        "extensions": [{"name": "vector"}],
    }


def store_spec(backups: Backups, *, region: str) -> dict[str, Any]:
    """Return where copies lie, and for how long."""
    bucket = backups.bucket
    configuration: dict[str, Any] = {
        "destinationPath": f"s3://{bucket.name}/{FOLDER}",
        "data": {"compression": "gzip"},
        "wal": {"compression": "gzip"},
    }
    variables = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    if isinstance(bucket, CompatibleBucket):
        configuration["endpointURL"] = bucket.endpoint
        configuration["s3Credentials"] = {
            "accessKeyId": {"name": bucket.credentials_secret, "key": "AWS_ACCESS_KEY_ID"},
            "secretAccessKey": {"name": bucket.credentials_secret, "key": "AWS_SECRET_ACCESS_KEY"},
        }
        variables = {
            "AWS_REGION": bucket.region,
            "AWS_DEFAULT_REGION": bucket.region,
            # Stores other than Amazon's refuse its newer checksums (cloudnative-pg/plugin-barman-cloud#393).
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
    else:
        configuration["s3Credentials"] = {"inheritFromIAMRole": True}
    return {
        "configuration": configuration,
        "retentionPolicy": f"{backups.days}d",
        "instanceSidecarConfiguration": {
            "env": [{"name": key, "value": value} for key, value in variables.items()],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        },
    }


def schedule_spec(postgres: Postgres) -> dict[str, Any]:
    """Return how often: at once, because the log alone brings nothing back, and then every night."""
    return {
        "cluster": {"name": postgres.name},
        "schedule": EVERY_NIGHT,
        "immediate": True,
        "backupOwnerReference": "none",
        "method": "plugin",
        "pluginConfiguration": {"name": BACKUP_PLUGIN},
    }


def monitor_spec(postgres: Postgres) -> dict[str, Any]:
    """Return who reads its metrics. The operator can make this object too; that is deprecated."""
    return {
        "selector": {"matchLabels": {"cnpg.io/cluster": postgres.name}},
        "podMetricsEndpoints": [{"port": "metrics"}],
    }


def _over_zones(cluster: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"cnpg.io/cluster": cluster, "cnpg.io/podRole": "instance"}},
    }
