"""The cluster that a stack runs on: created on AWS, already there, or the rehearsal's own."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.eks import Access, AddonVersions, NodeImages, Tags
from settings.facts import EksFacts, eks_versions
from settings.network import Endpoint, Network, RetentionDays
from settings.scalars import AccountId, ClusterName, Switch, Zone


def _kubernetes_version(value: str) -> str:
    major, _, minor = value.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise refusal(
            "not a Kubernetes minor version",
            'write it as "1.36", in quotes (without them YAML reads a number)',
        )
    return value


def _kubeconfig_path(value: str) -> str:
    if "\n" in value or "apiVersion:" in value:
        raise refusal(
            "the content of a kubeconfig holds credentials, and a stack file is committed",
            "write the path of the kubeconfig file, e.g. '~/.kube/config'",
        )
    if not value:
        raise refusal(
            "no kubeconfig is named", "write the path of the kubeconfig file, e.g. '~/.kube/config'"
        )
    return value


INTERFACES: Final = ("ec2", "ecr.api", "ecr.dkr", "eks-auth")
IN_CHINA: Final = ("ec2", "ecr.api", "ecr.dkr")
"""Those of INTERFACES whose name is known in the partition aws-cn: each has a prefix there that others lack (eksctl's table)."""
KubernetesVersion = Annotated[str, AfterValidator(_kubernetes_version)]
KubeconfigPath = Annotated[str, AfterValidator(_kubeconfig_path)]
Zones = Annotated[tuple[Zone, ...], Field(min_length=1)]


class EksCluster(Section):
    """A cluster that the program creates on Amazon EKS, with its network.

    deletion_protection: None is on in prod and off elsewhere. log_days: retention of the control plane's logs.
    """

    kind: Literal["eks"]
    name: ClusterName
    account: AccountId
    version: KubernetesVersion = "1.36"
    region: str
    zones: Zones
    endpoint: Endpoint
    access: Access
    tags: Tags
    network: Network = Network()
    log_days: RetentionDays = 365
    deletion_protection: Switch | None = None
    addon_versions: AddonVersions = AddonVersions()
    node_images: NodeImages = NodeImages()

    @property
    def partition(self) -> str:
        """The part of AWS that the region belongs to, as ARNs spell it."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def dns_suffix(self) -> str:
        """Domain of the AWS services there."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def interface_endpoints(self) -> tuple[str, ...]:
        """AWS services that nodes reach inside the VPC, by an endpoint in every zone."""
        return IN_CHINA if self.partition == "aws-cn" else INTERFACES

    @property
    def arn(self) -> str:
        """The cluster's ARN, known before there is a cluster."""
        return f"arn:{self.partition}:eks:{self.region}:{self.account}:cluster/{self.name}"

    @property
    def login(self) -> str:
        """The command that lets a shell get at it, by a context of the ARN's name; it stores no credentials."""
        return f"aws eks update-kubeconfig --name {self.name} --region {self.region}"

    @property
    def facts(self) -> EksFacts:
        """What this version is installed with. Raises KeyError for one without facts, which no loaded Settings has."""
        return eks_versions()[self.version]

    def addon_version(self, name: str) -> str:
        """Return the version of an add-on, by its name on EKS: the stack's own, or the pinned one."""
        own: str | None = getattr(self.addon_versions, name.replace("-", "_"))
        return own or self.facts.addons[name]

    @property
    def al2023_release(self) -> str:
        """AMI release of Amazon Linux 2023: the kubelet's version and a date."""
        return self.node_images.al2023 or self.facts.al2023

    @property
    def al2023_date(self) -> str:
        """Date of that release, eight digits."""
        return self.al2023_release.rpartition("-")[2]

    @property
    def bottlerocket_release(self) -> str:
        """Version of the Bottlerocket image."""
        return self.node_images.bottlerocket or self.facts.bottlerocket


class ExistingCluster(Section):
    """A cluster of any cloud that is already there: `kubeconfig` is a path, never the content."""

    kind: Literal["existing"]
    kubeconfig: KubeconfigPath
    context: Annotated[str, Field(min_length=1)]
    region: str
    zones: Zones


class RehearsalCluster(Section):
    """The embedded control plane with simulated nodes. Region and zones are the ones it stands in for."""

    kind: Literal["rehearsal"]
    name: ClusterName
    version: KubernetesVersion = "1.36"
    region: str
    zones: Zones


Cluster = Annotated[EksCluster | ExistingCluster | RehearsalCluster, Field(discriminator="kind")]
