"""Amazon's services: what is kept is encrypted, what is ours is not public, and everything has an owner."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, resource_rule, stack_rule, typed
from .values import UNKNOWN, among, at, elements, hidden, is_, may, number, parsed, text

AREA: Final = "AWS"
PROVIDER: Final = "pulumi:providers:aws"
TAGS: Final = ("owner", "cost-center", "stack")
BUCKET: Final = "aws:s3/bucket:Bucket"
BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
WORLD: Final = frozenset({"0.0.0.0/0", "::/0"})
_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_LAUNCH: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_INSTANCE: Final = "aws:ec2/instance:Instance"
_NODE_CLASS: Final = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"


def _volumes(resource: Resource) -> list[bool]:
    place = ("spec", "blockDeviceMappings") if resource.type == _NODE_CLASS else ("blockDeviceMappings",)
    return [
        is_(at(each, "ebs", "encrypted"), wanted=True)
        for each in elements(resource.props, *place)
        if at(each, "ebs") is not None
    ]


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
    _LAUNCH: _volumes,
    _NODE_CLASS: _volumes,
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
    fix="set encrypted (storageEncrypted, encryptionConfig for a cluster's secrets): it costs nothing",
    types=typed(*_KEEPERS),
    remedy=_encrypt,
)
def encrypted(resource: Resource, _: Config) -> Iterator[str]:
    """None of it can be encrypted later without being made anew."""
    if not all(_KEEPERS[resource.type](resource)):
        yield f"{resource.type.rpartition(':')[2]} {resource.label} is not encrypted"


def _partners(stack: Stack, type_: str) -> tuple[set[str], bool]:
    """Return the buckets that resources of a type are about, and whether one of them is not known yet."""
    names = [at(each.props, "bucket") for each in stack.of_type(type_)]
    return {text(each) for each in names}, UNKNOWN in names


@stack_rule(
    "buckets-are-closed",
    AREA,
    says="Each bucket is encrypted with a key of ours, and closed to the public",
    fix="add BucketPublicAccessBlock and BucketServerSideEncryptionConfiguration (the component PrivateBucket makes both)",
)
def closed(stack: Stack, _: Config) -> Iterator[Found]:
    """They are resources of their own: that one is missing only the whole stack shows."""
    for type_, what in ((BLOCK, "is not closed to the public"), (ENCRYPTION, "has no encryption of its own")):
        known, later = _partners(stack, type_)
        for bucket in stack.of_type(BUCKET):
            name = at(bucket.props, "bucket")
            ours = {text(name), text(at(bucket.props, "id"))} & known - {""}
            if name is not UNKNOWN and not ours and not later:
                yield about(bucket, f"the bucket {text(name) or bucket.label} {what}")


def _open_block(props: Any) -> Iterator[str]:  # noqa: ANN401 - inputs, as in all of these
    yield from (f"leaves {key} off" for key in _BLOCKS if not is_(at(props, key), wanted=True))


def _open_list(props: Any) -> Iterator[str]:  # noqa: ANN401
    if text(at(props, "acl")).startswith("public"):
        yield f"has the access list {at(props, 'acl')}"


def _open_ingress(props: Any) -> Iterator[str]:  # noqa: ANN401
    yield from (
        f"lets {at(props, key)} in" for key in ("cidrIpv4", "cidrIpv6") if among(at(props, key), WORLD)
    )


def _open_group(props: Any) -> Iterator[str]:  # noqa: ANN401
    for rule in elements(props, "ingress") if at(props, "type") is None else [props]:
        blocks = [*elements(rule, "cidrBlocks"), *elements(rule, "ipv6CidrBlocks")]
        if at(rule, "type") != "egress" and WORLD & {text(each) for each in blocks}:
            yield "lets the whole internet in"


def _open_balancer(props: Any) -> Iterator[str]:  # noqa: ANN401
    if not is_(at(props, "internal"), wanted=True):
        yield "is reached from the internet"


def _open_api(props: Any) -> Iterator[str]:  # noqa: ANN401
    access = at(props, "vpcConfig")
    blocks = at(access, "publicAccessCidrs")
    # AWS opens what nobody closes, to everybody.
    closed_ = at(access, "endpointPublicAccess") in (False, "false", UNKNOWN)
    named = hidden(blocks) or (
        bool(elements(blocks)) and not WORLD & {text(each) for each in elements(blocks)}
    )
    if not closed_ and not named and access is not UNKNOWN:
        yield "has an API that the whole internet reaches"


def _open_flag(key: str, what: str) -> Callable[[Any], Iterator[str]]:
    def look(props: Any) -> Iterator[str]:  # noqa: ANN401
        if at(props, key) in (True, "true"):
            yield what

    return look


_OPEN_DATABASE: Final = _open_flag("publiclyAccessible", "is reached from the internet")
# What could be open to everybody -> what of it is.
_DOORS: Final[Mapping[str, Callable[[Any], Iterator[str]]]] = {
    BLOCK: _open_block,
    BUCKET: _open_list,
    "aws:s3/bucketAcl:BucketAcl": _open_list,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _open_ingress,
    "aws:ec2/securityGroup:SecurityGroup": _open_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _open_group,
    "aws:ec2/subnet:Subnet": _open_flag("mapPublicIpOnLaunch", "gives public addresses to what starts in it"),
    "aws:lb/loadBalancer:LoadBalancer": _open_balancer,
    "aws:eks/cluster:Cluster": _open_api,
    "aws:rds/instance:Instance": _OPEN_DATABASE,
    "aws:rds/clusterInstance:ClusterInstance": _OPEN_DATABASE,
}


@resource_rule(
    "nothing-is-public",
    AREA,
    says="CloudFront is the only door to the internet",
    fix="close it: name addresses, a prefix list or a security group instead of everybody",
    types=typed(*_DOORS),
)
def private(resource: Resource, _: Config) -> Iterator[str]:
    """Settings check what they know; a resource that is written by hand they do not."""
    for what in _DOORS[resource.type](resource.props):
        yield f"{resource.type.rpartition(':')[2]} {resource.label} {what}"


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


RULES: Final = (encrypted, closed, private, tokens, tagged)
