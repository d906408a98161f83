"""The cluster that a stack runs on: created on AWS, already there, or the rehearsal's own."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.scalars import ClusterName, Zone


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


KubernetesVersion = Annotated[str, AfterValidator(_kubernetes_version)]
KubeconfigPath = Annotated[str, AfterValidator(_kubeconfig_path)]
Zones = Annotated[tuple[Zone, ...], Field(min_length=1)]


class EksCluster(Section):
    """A cluster that the program creates on Amazon EKS."""

    kind: Literal["eks"]
    name: ClusterName
    version: KubernetesVersion = "1.36"
    region: str
    zones: Zones


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
