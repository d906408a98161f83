"""Data: copies exist, and nothing that holds any is deleted by a mistake."""

from collections.abc import Iterator, Mapping
from typing import Final

from .aws import BUCKETS
from .model import Config, Found, Resource, Stack, about, any_of, resource_rule, stack_rule, typed
from .values import UNKNOWN, agree, at, entries, is_, may, number, text

AREA: Final = "data"
POSTGRES: Final = "kubernetes:postgresql.cnpg.io/v1:Cluster"
FILES: Final = "aws:efs/fileSystem:FileSystem"
BACKUP: Final = "aws:efs/backupPolicy:BackupPolicy"
DAYS: Final = 7
# Type -> the input that must be on, or off, so that nothing is deleted with all it holds.
_ON: Final[Mapping[str, str]] = {
    "aws:eks/cluster:Cluster": "deletionProtection",
    "aws:lb/loadBalancer:LoadBalancer": "enableDeletionProtection",
    "aws:alb/loadBalancer:LoadBalancer": "enableDeletionProtection",
    "aws:rds/instance:Instance": "deletionProtection",
    "aws:rds/cluster:Cluster": "deletionProtection",
}
_OFF: Final[Mapping[str, str]] = {
    **dict.fromkeys(BUCKETS, "forceDestroy"),
    "aws:ecr/repository:Repository": "forceDelete",
}


@stack_rule(
    "databases-are-backed-up",
    AREA,
    says="A database keeps its log of changes elsewhere, and is copied by a schedule",
    fix="set `database.backups: {kind: bucket, ...}`; by hand: the plugin barman-cloud as isWALArchiver, and a ScheduledBackup",
    levels={"dev": "advisory"},
)
def backed_up(stack: Stack, _: Config) -> Iterator[Found]:
    """One without the other brings nothing back."""
    schedules = [at(each.props, "spec", "cluster", "name") for each in stack.of("ScheduledBackup")]
    for cluster in stack.of_type(POSTGRES):
        plugins = at(cluster.props, "spec", "plugins")
        archived = may(lambda each: is_(at(each, "isWALArchiver"), wanted=True), plugins) or bool(
            entries(cluster.props, "spec", "backup", "barmanObjectStore")
        )
        if not archived:
            yield about(cluster, f"the database {cluster.label} keeps its log on its own disks alone")
        if not any(agree(cluster.called, each) for each in schedules):
            yield about(cluster, f"the database {cluster.label} is never copied")


@stack_rule(
    "shared-files-are-backed-up",
    AREA,
    says="A shared file system is copied by AWS Backup",
    fix="add a BackupPolicy with the status ENABLED",
    levels={"dev": "disabled"},
)
def copied(stack: Stack, _: Config) -> Iterator[Found]:
    """Weights can be fetched again; adapters that somebody trained may lie beside them."""
    policies = [
        at(each.props, "fileSystemId")
        for each in stack.of_type(BACKUP)
        if is_(at(each.props, "backupPolicy", "status"), "ENABLED")
    ]
    for files in stack.of_type(FILES):
        if not any(agree(at(files.props, "id"), each) for each in policies):
            yield about(files, f"the file system {files.label} has no copies")


@resource_rule(
    "databases-keep-copies",
    AREA,
    says=f"A database of AWS keeps its copies for {DAYS} days at least",
    fix=f"set backupRetentionPeriod to {DAYS} or more",
    types=typed("aws:rds/instance:Instance", "aws:rds/cluster:Cluster"),
    levels={"dev": "advisory"},
)
def kept(resource: Resource, _: Config) -> Iterator[str]:
    """What is left out means one day, or none."""
    days = at(resource.props, "backupRetentionPeriod")
    if days is not UNKNOWN and (number(days) or 0) < DAYS:
        yield f"the database {resource.label} keeps copies for {number(days) or 0:g} days"


@resource_rule(
    "deletion-is-no-accident",
    AREA,
    says="Clusters, load balancers, databases, buckets and repositories can not be deleted in one step",
    fix="turn deletion protection on (`cluster.deletion_protection`), and forceDestroy and forceDelete off",
    types=typed(*_ON, *_OFF),
    levels={"dev": "disabled", "staging": "advisory"},
)
def protected(resource: Resource, _: Config) -> Iterator[str]:
    """A renamed stack deletes what it no longer names."""
    on, off = _ON.get(resource.type), _OFF.get(resource.type)
    kind = resource.type.rpartition(":")[2]
    if on and not is_(at(resource.props, on), wanted=True):
        yield f"{kind} {resource.label} has {on} off"
    if off and at(resource.props, off) in (True, "true"):
        yield f"{kind} {resource.label} has {off} on"


@resource_rule(
    "volumes-outlive-their-claims",
    AREA,
    says="A volume that the program names stays when its claim goes",
    fix="set persistentVolumeReclaimPolicy: Retain",
    types=any_of("PersistentVolume"),
    levels={"dev": "advisory"},
)
def retained(resource: Resource, _: Config) -> Iterator[str]:
    """The default of a volume that is made by hand is Retain; of one with a class it is the class's."""
    policy = at(resource.props, "spec", "persistentVolumeReclaimPolicy")
    if policy not in (None, "Retain", UNKNOWN):
        yield f"the volume {resource.label} is deleted with its claim ({text(policy)})"


RULES: Final = (backed_up, copied, kept, protected, retained)
