"""Amazon's services: what is kept is encrypted, buckets are closed, machines keep their credentials, everything has an owner."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, resource_rule, stack_rule, typed
from .values import UNKNOWN, at, elements, hidden, is_, may, number, parsed, text

AREA: Final = "AWS"
PROVIDER: Final = "pulumi:providers:aws"
TAGS: Final = ("owner", "cost-center", "stack")
# Under the names that they had before, too.
BUCKETS: Final = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_ENCRYPTIONS: Final = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_LAUNCH: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_INSTANCE: Final = "aws:ec2/instance:Instance"
_NODE_CLASS: Final = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"


def _volumes(resource: Resource, *place: str) -> list[bool]:
    return [
        is_(at(each, "ebs", "encrypted"), wanted=True)
        for each in elements(resource.props, *place, "blockDeviceMappings")
        if at(each, "ebs") is not None
    ]


def _volumes_of_template(resource: Resource) -> list[bool]:
    """A template that names no disk gets those of the image, encrypted or not."""
    named = _volumes(resource)
    return named if named or hidden(resource.props, "blockDeviceMappings") else [False]


def _volumes_of_class(resource: Resource) -> list[bool]:
    """Where a class names no disk, Karpenter's own is encrypted."""
    return _volumes(resource, "spec")


def _volumes_of_group(resource: Resource) -> list[bool]:
    """Disks of nodes are as their template says; without one as the image says."""
    return [at(resource.props, "launchTemplate") is not None]


def _flag(*path: str) -> Callable[[Resource], list[bool]]:
    return lambda resource: [is_(at(resource.props, *path), wanted=True)]


def _queue(resource: Resource) -> list[bool]:
    return [
        is_(at(resource.props, "sqsManagedSseEnabled"), wanted=True)
        or at(resource.props, "kmsMasterKeyId") is not None
    ]


def _secrets_of_cluster(resource: Resource) -> list[bool]:
    return [may(lambda each: each == "secrets", resource.props, "encryptionConfig", "resources")]


def _class(resource: Resource) -> list[bool]:
    if at(resource.props, "provisioner") != "ebs.csi.aws.com":
        return []
    return [is_(at(resource.props, "parameters", "encrypted"), wanted=True)]


# What keeps something -> whether each part of it is encrypted.
_KEEPERS: Final[Mapping[str, Callable[[Resource], list[bool]]]] = {
    "aws:efs/fileSystem:FileSystem": _flag("encrypted"),
    "aws:ebs/volume:Volume": _flag("encrypted"),
    "aws:rds/instance:Instance": _flag("storageEncrypted"),
    "aws:rds/cluster:Cluster": _flag("storageEncrypted"),
    "aws:sqs/queue:Queue": _queue,
    "aws:eks/cluster:Cluster": _secrets_of_cluster,
    "kubernetes:storage.k8s.io/v1:StorageClass": _class,
    "aws:eks/nodeGroup:NodeGroup": _volumes_of_group,
    _LAUNCH: _volumes_of_template,
    _NODE_CLASS: _volumes_of_class,
}


def _encrypt(inputs: Any) -> None:  # noqa: ANN401 - inputs of one of _KEEPERS
    for key in ("encrypted", "storageEncrypted"):
        if key in inputs:
            inputs[key] = True
    holder = inputs.get("spec", inputs)
    for each in holder.get("blockDeviceMappings", []):
        if "ebs" in each:
            each["ebs"]["encrypted"] = True if "spec" in inputs else "true"


@resource_rule(
    "what-is-kept-is-encrypted",
    AREA,
    says="Disks, files, queues, databases and the cluster's secrets are encrypted",
    fix="set encrypted (storageEncrypted, encryptionConfig for a cluster's secrets; for nodes in blockDeviceMappings "
    "of their launch template): it costs nothing",
    types=typed(*_KEEPERS),
    remedy=_encrypt,
)
def encrypted(resource: Resource, _: Config) -> Iterator[str]:
    """None of it can be encrypted later without being made anew."""
    if not all(_KEEPERS[resource.type](resource)):
        yield f"{resource.type.rpartition(':')[2]} {resource.label} is not encrypted"


def _partners(stack: Stack, *types: str) -> tuple[set[str], bool]:
    """Return the buckets that resources of some types are about, and whether one of them is not known yet."""
    names = [at(each.props, "bucket") for type_ in types for each in stack.of_type(type_)]
    return {text(each) for each in names}, UNKNOWN in names


@stack_rule(
    "buckets-are-closed",
    AREA,
    says="Each bucket is encrypted with a key of ours, and closed to the public",
    fix="add BucketPublicAccessBlock and BucketServerSideEncryptionConfiguration (the component PrivateBucket makes both)",
)
def closed(stack: Stack, _: Config) -> Iterator[Found]:
    """They are resources of their own: that one is missing only the whole stack shows."""
    buckets = [each for type_ in BUCKETS for each in stack.of_type(type_)]
    for types, what in (
        ((BLOCK,), "is not closed to the public"),
        (_ENCRYPTIONS, "has no encryption of its own"),
    ):
        known, later = _partners(stack, *types)
        for bucket in buckets:
            name = at(bucket.props, "bucket")
            ours = {text(name), text(at(bucket.props, "id"))} & known - {""}
            if name is not UNKNOWN and not ours and not later:
                yield about(bucket, f"the bucket {text(name) or bucket.label} {what}")


def _need_a_token(inputs: Any) -> None:  # noqa: ANN401 - inputs of a machine
    holder = inputs.get("spec", inputs)
    holder.setdefault("metadataOptions", {})["httpTokens"] = "required"


@resource_rule(
    "machines-hide-their-credentials",
    AREA,
    says="The credentials of a machine are given to nobody without a token (IMDSv2), and to no pod",
    fix="set metadataOptions.httpTokens: required and httpPutResponseHopLimit: 1",
    types=typed(_LAUNCH, _INSTANCE, _NODE_CLASS),
    remedy=_need_a_token,
)
def tokens(resource: Resource, _: Config) -> Iterator[str]:
    """Whoever gets a server to call an address would get the node's rights."""
    place = ("spec",) if resource.type == _NODE_CLASS else ()
    options = at(resource.props, *place, "metadataOptions")
    if not is_(at(options, "httpTokens"), "required") and options is not UNKNOWN:
        yield f"{resource.type.rpartition(':')[2]} {resource.label} gives its credentials without a token"
    hops = at(options, "httpPutResponseHopLimit")
    if hops is not None and (number(hops) or 0) > 1:
        yield f"{resource.type.rpartition(':')[2]} {resource.label} gives its credentials to pods, {number(hops):g} hops away"


@resource_rule(
    "resources-have-an-owner",
    AREA,
    says="Every resource of AWS is tagged with its owner, its cost center and its stack",
    fix="name them in defaultTags of the provider (`cluster.tags`)",
    types=typed(PROVIDER),
)
def tagged(resource: Resource, _: Config) -> Iterator[str]:
    """By the provider's default tags, which reach all that it makes; Pulumi hands them over as a text of JSON."""
    tags = parsed(at(resource.props, "defaultTags"))
    given = at(tags, "tags")
    missing = [each for each in TAGS if _lacking(given, each)]
    if tags is not UNKNOWN and missing:
        yield f"the provider {resource.label} gives no tag {', '.join(missing)}"


def _lacking(tags: object, key: str) -> bool:
    """Tell whether a tag is not there, or is empty."""
    return tags is not UNKNOWN and at(tags, key) in (None, "")


RULES: Final = (encrypted, closed, tokens, tagged)
