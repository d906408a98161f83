"""What belongs to a cluster that the program creates on Amazon EKS, and to no other."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from settings.base import Section, refusal

_PRINCIPAL: Final = re.compile(r"arn:aws(-cn|-us-gov)?:iam::\d{12}:(role|user)/[\w+=,.@/-]{1,576}")
_TAG: Final = re.compile(r"[\w .:/=+@-]{1,256}")
_ADDON_VERSION: Final = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")
_AL2023: Final = re.compile(r"\d+\.\d+\.\d+-\d{8}")
_BOTTLEROCKET: Final = re.compile(r"\d+\.\d+\.\d+")


def _principal(value: str) -> str:
    if not _PRINCIPAL.fullmatch(value):
        raise refusal(
            "not the ARN of an IAM role or user (a session's ARN, with 'sts' in it, is none)",
            "write e.g. 'arn:aws:iam::123456789012:role/platform'",
        )
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value) or value != value.strip():
        raise refusal(
            "not the value of an AWS tag",
            "use 1 to 256 letters, digits, spaces and . : / = + @ - _, none of them a space at either end",
        )
    return value


def _addon_version(value: str) -> str:
    if not _ADDON_VERSION.fullmatch(value):
        raise refusal("not the version of an EKS add-on", "write it whole, e.g. 'v1.22.4-eksbuild.3'")
    return value


def _al2023(value: str) -> str:
    if not _AL2023.fullmatch(value):
        raise refusal(
            "not an AMI release of Amazon Linux 2023",
            "write the kubelet's version and the date, e.g. '1.36.3-20260911'",
        )
    return value


def _bottlerocket(value: str) -> str:
    if not _BOTTLEROCKET.fullmatch(value):
        raise refusal("not a release of Bottlerocket", "write its version, e.g. '1.66.0'")
    return value


Principal = Annotated[str, AfterValidator(_principal)]
TagValue = Annotated[str, AfterValidator(_tag)]
AddonVersion = Annotated[str, AfterValidator(_addon_version)]


class Access(Section):
    """IAM roles and users that may use the cluster. Whoever runs `pulumi up` must be among the admins."""

    admins: Annotated[tuple[Principal, ...], Field(min_length=1)]
    viewers: tuple[Principal, ...] = ()


class Tags(Section):
    """Who answers for what is created, and who pays. Every AWS resource carries both, and the stack's name."""

    owner: TagValue
    cost_center: TagValue


class AddonVersions(Section):
    """Versions of EKS add-ons that differ from the pinned ones in data/eks.yaml."""

    vpc_cni: AddonVersion | None = None
    kube_proxy: AddonVersion | None = None
    eks_pod_identity_agent: AddonVersion | None = None
    coredns: AddonVersion | None = None
    aws_ebs_csi_driver: AddonVersion | None = None
    aws_efs_csi_driver: AddonVersion | None = None
    eks_node_monitoring_agent: AddonVersion | None = None


class NodeImages(Section):
    """Releases of the node images that differ from the pinned ones in data/eks.yaml."""

    al2023: Annotated[str, AfterValidator(_al2023)] | None = None
    bottlerocket: Annotated[str, AfterValidator(_bottlerocket)] | None = None
