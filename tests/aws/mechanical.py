"""Turns the inputs of a Pulumi resource into the parameters of the API call behind it, by the letter.

An input becomes the member of the same name, but for upper and lower case and for a plural; a member without a
partner is an error. The AWS provider does the same by hand, for hundreds of resources: what a test proves by
this is that our inputs are of the API's shape, not that the provider sends them so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol, cast

from botocore import session, validate  # pyright: ignore[reportMissingTypeStubs] - it has none

from ops.recorder import UNKNOWN


class Shape(Protocol):
    """What botocore knows of one value. Only a structure has members, only a list a member."""

    name: str
    type_name: str
    members: Mapping[str, "Shape"]
    member: "Shape"
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where the provider's schema is not the API's. `member` is a path of the API's members; empty: not sent."""

    why: str
    member: tuple[str, ...] = ()
    form: Callable[[Any], Any] = lambda value: value


def _log_setup(types: list[str]) -> list[dict[str, Any]]:
    return [{"types": types, "enabled": True}]


_SUBNETS: Final = Difference(why="the provider names what the list holds", member=("subnets",))
# By the shape of the API and the input's name. Everything else is mechanical.
DIFFERENCES: Final[Mapping[tuple[str, str], Difference]] = {
    ("CreateClusterRequest", "vpcConfig"): Difference(
        why="the API tells the request's form from the answer's", member=("resourcesVpcConfig",)
    ),
    ("CreateClusterRequest", "enabledClusterLogTypes"): Difference(
        why="the API could also name types to switch off",
        member=("logging", "clusterLogging"),
        form=_log_setup,
    ),
    ("CreateClusterRequest", "encryptionConfig"): Difference(
        why="a list of at most one", member=("encryptionConfig",), form=lambda value: [value]
    ),
    ("CreateAccessEntryRequest", "userName"): Difference(why="one word in the API", member=("username",)),
    ("CreateAddonRequest", "resolveConflictsOnCreate"): Difference(
        why="creation and update are two calls of the API", member=("resolveConflicts",)
    ),
    ("CreateAddonRequest", "resolveConflictsOnUpdate"): Difference(why="of UpdateAddon"),
    ("CreateAddonRequest", "preserve"): Difference(why="of DeleteAddon"),
    ("UpdateAddonRequest", "resolveConflictsOnUpdate"): Difference(
        why="creation and update are two calls of the API", member=("resolveConflicts",)
    ),
    ("UpdateAddonRequest", "resolveConflictsOnCreate"): Difference(why="of CreateAddon"),
    ("UpdateAddonRequest", "preserve"): Difference(why="of DeleteAddon"),
    ("CreateNodegroupRequest", "subnetIds"): _SUBNETS,
    ("CreateNodegroupRequest", "nodeRoleArn"): Difference(
        why="the API takes an ARN under a shorter name", member=("nodeRole",)
    ),
    ("CreateNodegroupRequest", "forceUpdateVersion"): Difference(why="of UpdateNodegroupVersion"),
    ("CreateLaunchTemplateRequest", "name"): Difference(
        why="the API says whose name", member=("LaunchTemplateName",)
    ),
    ("CreateLaunchTemplateRequest", "description"): Difference(
        why="each version has one", member=("VersionDescription",)
    ),
    ("CreateLaunchTemplateRequest", "updateDefaultVersion"): Difference(why="of ModifyLaunchTemplate"),
    ("CreateLaunchTemplateRequest", "tagSpecifications"): Difference(
        why="the API has two: of the template, and of what is made from it",
        member=("LaunchTemplateData", "TagSpecifications"),
    ),
    ("RequestLaunchTemplateData", "vpcSecurityGroupIds"): Difference(
        why="the API's other list, SecurityGroups, holds names", member=("SecurityGroupIds",)
    ),
    ("LaunchTemplateInstanceNetworkInterfaceSpecificationRequest", "securityGroups"): Difference(
        why="another name", member=("Groups",)
    ),
    ("AllocateAddressRequest", "vpc"): Difference(why="the older name of `domain`"),
    ("CreateInternetGatewayRequest", "vpcId"): Difference(why="of AttachInternetGateway"),
    ("CreateVpcRequest", "enableDnsHostnames"): Difference(why="of ModifyVpcAttribute"),
    ("CreateVpcRequest", "enableDnsSupport"): Difference(why="of ModifyVpcAttribute"),
    ("CreateSubnetRequest", "mapPublicIpOnLaunch"): Difference(why="of ModifySubnetAttribute"),
    ("CreateFlowLogsRequest", "vpcId"): Difference(
        why="one input per kind of resource", member=("ResourceIds",), form=lambda value: [value]
    ),
    ("CreateFlowLogsRequest", "iamRoleArn"): Difference(
        why="the API says what for", member=("DeliverLogsPermissionArn",)
    ),
    ("CreateVpcEndpointRequest", "policy"): Difference(
        why="the API says of what it is", member=("PolicyDocument",)
    ),
}
# The shape's member that has what does not belong to the shape itself: in the provider's schema both are one.
INNER: Final = {"CreateLaunchTemplateRequest": "LaunchTemplateData"}
# EC2 wants to be told what the tags of a request are for.
TAGGED: Final = {
    "AllocateAddressRequest": "elastic-ip",
    "CreateFlowLogsRequest": "vpc-flow-log",
    "CreateInternetGatewayRequest": "internet-gateway",
    "CreateLaunchTemplateRequest": "launch-template",
    "CreateNatGatewayRequest": "natgateway",
    "CreateRouteTableRequest": "route-table",
    "CreateSecurityGroupRequest": "security-group",
    "CreateSubnetRequest": "subnet",
    "CreateVpcEndpointRequest": "vpc-endpoint",
    "CreateVpcRequest": "vpc",
}
TRUTHS: Final = {"true": True, "false": False}


@cache
def operation(service: str, name: str) -> Shape:
    """Return what an operation takes, e.g. of `eks` the operation `CreateCluster`."""
    model = cast("Any", session.Session()).get_service_model(service)
    return cast("Shape", model.operation_model(name).input_shape)


def filled(inputs: Any, stand_ins: Mapping[str, Any], key: str = "") -> Any:  # noqa: ANN401 - a JSON value
    """Return inputs with what only AWS knows replaced, by the name of the input. Raises KeyError for one without a stand-in."""
    if isinstance(inputs, Mapping):
        mapping = cast("Mapping[str, Any]", inputs)
        return {name: filled(value, stand_ins, name) for name, value in mapping.items()}
    if isinstance(inputs, list):
        return [filled(item, stand_ins, key) for item in cast("list[Any]", inputs)]
    return stand_ins[key] if inputs == UNKNOWN else inputs


def request(inputs: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return the parameters of a call. Raises LookupError for an input that the API does not know."""
    # Every resource has `region`: it chooses the address that the call goes to.
    return _structure({k: v for k, v in inputs.items() if k != "region"}, shape)


def faults(params: Mapping[str, Any], shape: Shape) -> list[str]:
    """Return what botocore refuses, and what it lets pass although its own model rules it out."""
    report: str = cast("Any", validate.ParamValidator()).validate(dict(params), shape).generate_report()
    return [line for line in report.splitlines() if line] + _broken_limits(params, shape, "")


def _structure(inputs: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for name, value in inputs.items():
        difference = DIFFERENCES.get((shape.name, name))
        if difference is not None:
            if difference.member:
                _put(found, difference, value, shape)
        elif name == "tags" and shape.name in TAGGED:
            pairs = [{"Key": key, "Value": text} for key, text in value.items()]
            found["TagSpecifications"] = [{"ResourceType": TAGGED[shape.name], "Tags": pairs}]
        elif shape.name in INNER and not _partners(name, shape):
            inner[name] = value
        else:
            member = _partner(name, shape)
            found[member] = _value(value, shape.members[member])
    if inner:
        member = INNER[shape.name]
        found[member] = {**found.get(member, {}), **_structure(inner, shape.members[member])}
    return found


def _put(found: dict[str, Any], difference: Difference, value: object, shape: Shape) -> None:
    """Write a value under a path of members."""
    *outer, last = difference.member
    for member in outer:
        found = found.setdefault(member, {})
        shape = shape.members[member]
    found[last] = _value(difference.form(value), shape.members[last])


def _value(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - a JSON value
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return _structure(cast("Mapping[str, Any]", value), shape)
    if shape.type_name == "list" and isinstance(value, Mapping) and shape.member.name == "Tag":
        return [{"Key": k, "Value": v} for k, v in cast("Mapping[str, str]", value).items()]
    if shape.type_name == "list" and isinstance(value, list):
        return [_value(item, shape.member) for item in cast("list[Any]", value)]
    if shape.type_name == "boolean" and isinstance(value, str) and value in TRUTHS:
        # Three-valued in Terraform's schema (on, off, left to AWS), and therefore text.
        return TRUTHS[value]
    return cast("Any", value)


def method(operation_name: str) -> str:
    """Return what boto3 calls an operation: `CreateBucket` is `create_bucket`."""
    parts = (f"_{letter.lower()}" if letter.isupper() else letter for letter in operation_name)
    return "".join(parts).removeprefix("_")


def _partner(name: str, shape: Shape) -> str:
    found = _partners(name, shape)
    if len(found) != 1:
        message = f"{shape.name} has {len(found)} members for the input {name}: {', '.join(found) or 'none'}"
        raise LookupError(message)
    return found[0]


def _partners(name: str, shape: Shape) -> list[str]:
    exact = [member for member in shape.members if member.casefold() == name.casefold()]
    return exact or [member for member in shape.members if _singular(member) == _singular(name)]


def _singular(name: str) -> str:
    low = name.casefold()
    return f"{low[:-3]}y" if low.endswith("ies") else low.removesuffix("s")


def _broken_limits(value: Any, shape: Shape, path: str) -> list[str]:  # noqa: ANN401 - a JSON value
    """Return the values that are none of a member's words, not of its pattern, or beyond its largest size."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return [
            fault
            for name, inner in members.items()
            if name in shape.members
            for fault in _broken_limits(inner, shape.members[name], f"{path}.{name}")
        ]
    limits = shape.metadata
    size = len(cast("str | list[Any]", value)) if isinstance(value, str | list) else value
    found: list[str] = []
    if isinstance(size, int) and size > limits.get("max", size):
        found.append(f"{path}: {value!r} is beyond the largest, {limits['max']}")
    if isinstance(value, str):
        words = cast("list[str]", limits.get("enum", []))
        if words and value not in words:
            found.append(f"{path}: {value!r} is none of {', '.join(words[:12])}")
        if "pattern" in limits and not re.search(limits["pattern"], value):
            found.append(f"{path}: {value!r} is not of the pattern {limits['pattern']}")
    if shape.type_name == "list" and isinstance(value, list):
        for at, item in enumerate(cast("list[Any]", value)):
            found += _broken_limits(item, shape.member, f"{path}[{at}]")
    return found
