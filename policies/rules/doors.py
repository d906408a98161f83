"""What of AWS the internet could reach: CloudFront alone may be."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from .aws import AREA, BLOCK, BUCKETS
from .model import Config, Resource, resource_rule, typed
from .values import UNKNOWN, at, elements, hidden, is_, text

# Under the names that they had before, too.
BALANCERS: Final = (
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:alb/loadBalancer:LoadBalancer",
    "aws:elb/loadBalancer:LoadBalancer",
)
# Bits of a range; one with fewer is no range of somebody's.
WIDE: Final = 8
WIDE_6: Final = 16
_PRIVATE_6: Final = IPv6Network("fc00::/7")
_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_SERVICE: Final = "kubernetes:core/v1:Service"
_BALANCER: Final = "service.beta.kubernetes.io/aws-load-balancer"
# Those of AWS. Another one is not AWS' balancer.
_CLASSES: Final = (None, "service.k8s.aws/nlb", "eks.amazonaws.com/nlb")


def _open_block(props: Any) -> Iterator[str]:  # noqa: ANN401 - inputs, as in all of these
    yield from (f"leaves {key} off" for key in _BLOCKS if not is_(at(props, key), wanted=True))


def _open_list(props: Any) -> Iterator[str]:  # noqa: ANN401
    if text(at(props, "acl")).startswith("public"):
        yield f"has the access list {at(props, 'acl')}"


def _is_world(block: object) -> bool:
    """Tell whether a range is so wide that a few of its kind are the internet. Addresses of IPv6 for private use are not."""
    try:
        network = ip_network(text(block), strict=False)
    except ValueError:
        return False
    if isinstance(network, IPv4Network):
        return network.prefixlen < WIDE
    return network.prefixlen < WIDE_6 and not network.subnet_of(_PRIVATE_6)


def _are_named(blocks: object) -> bool:
    """Tell whether addresses are listed and none of them is everybody's, or may be."""
    known = elements(blocks)
    return not any(map(_is_world, known)) and (bool(known) or hidden(blocks))


def _open_ingress(props: Any) -> Iterator[str]:  # noqa: ANN401
    yield from (f"lets {at(props, key)} in" for key in ("cidrIpv4", "cidrIpv6") if _is_world(at(props, key)))


def _open_group(props: Any) -> Iterator[str]:  # noqa: ANN401
    for rule in elements(props, "ingress") if at(props, "type") is None else [props]:
        blocks = [*elements(rule, "cidrBlocks"), *elements(rule, "ipv6CidrBlocks")]
        if at(rule, "type") != "egress" and any(map(_is_world, blocks)):
            yield "lets the whole internet in"


def _open_balancer(props: Any) -> Iterator[str]:  # noqa: ANN401
    if not is_(at(props, "internal"), wanted=True):
        yield "is reached from the internet"


def _open_api(props: Any) -> Iterator[str]:  # noqa: ANN401
    access = at(props, "vpcConfig")
    # AWS opens what nobody closes, to everybody.
    closed_ = at(access, "endpointPublicAccess") in (False, "false", UNKNOWN)
    if not closed_ and not _are_named(at(access, "publicAccessCidrs")) and access is not UNKNOWN:
        yield "has an API that the whole internet reaches"


def _open_flag(key: str, what: str) -> Callable[[Any], Iterator[str]]:
    def look(props: Any) -> Iterator[str]:  # noqa: ANN401
        if at(props, key) in (True, "true"):
            yield what

    return look


def _open_entry(props: Any) -> Iterator[str]:  # noqa: ANN401
    if at(props, "metadata", "annotations", "alb.ingress.kubernetes.io/scheme") == "internet-facing":
        yield "is reached from the internet"


def _open_service(props: Any, *, on_aws: bool) -> Iterator[str]:  # noqa: ANN401
    """Whoever says nothing may get a balancer for the internet: it depends on which controller makes it."""
    spec, notes = at(props, "spec"), at(props, "metadata", "annotations")
    if (
        at(spec, "type") != "LoadBalancer"
        or at(spec, "loadBalancerClass") not in _CLASSES
        or notes is UNKNOWN
    ):
        return
    scheme, internal = at(notes, f"{_BALANCER}-scheme"), at(notes, f"{_BALANCER}-internal")
    silent = scheme is None and not is_(internal, wanted=True)
    said = scheme == "internet-facing" or (silent and on_aws)
    if said and not _are_named(at(spec, "loadBalancerSourceRanges")):
        yield "is reached from the internet"


_OPEN_DATABASE: Final = _open_flag("publiclyAccessible", "is reached from the internet")
# What could be open to everybody -> what of it is.
_DOORS: Final[Mapping[str, Callable[[Any], Iterator[str]]]] = {
    BLOCK: _open_block,
    **dict.fromkeys((*BUCKETS, "aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2"), _open_list),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _open_ingress,
    "aws:ec2/securityGroup:SecurityGroup": _open_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _open_group,
    "aws:ec2/subnet:Subnet": _open_flag("mapPublicIpOnLaunch", "gives public addresses to what starts in it"),
    **dict.fromkeys(BALANCERS, _open_balancer),
    "aws:eks/cluster:Cluster": _open_api,
    "aws:rds/instance:Instance": _OPEN_DATABASE,
    "aws:rds/clusterInstance:ClusterInstance": _OPEN_DATABASE,
    "kubernetes:networking.k8s.io/v1:Ingress": _open_entry,
}


@resource_rule(
    "nothing-is-public",
    AREA,
    says="CloudFront is the only door to the internet",
    fix="close it: name addresses, a prefix list or a security group instead of everybody, "
    "and make load balancers internal (a Service by service.beta.kubernetes.io/aws-load-balancer-scheme: internal)",
    types=typed(_SERVICE, *_DOORS),
)
def private(resource: Resource, config: Config) -> Iterator[str]:
    """Settings check what they know; a resource that is written by hand they do not."""
    found = (
        _open_service(resource.props, on_aws=config.cluster == "eks")
        if resource.type == _SERVICE
        else _DOORS[resource.type](resource.props)
    )
    for what in found:
        yield f"{resource.type.rpartition(':')[2]} {resource.label} {what}"


RULES: Final = (private,)
