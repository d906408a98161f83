"""The one table of Helm charts: where each is published, its version, and what holds it there.

No other module names a version of a chart. A new version is a change of this file, reviewed like every other.
"""

from dataclasses import dataclass
from typing import Final

OCI: Final = "oci://"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `repository` is an address of an index, or begins with `oci://`. `why_held`: what keeps a newer one out."""

    name: str
    repository: str
    version: str
    why_held: str = ""

    @property
    def reference(self) -> str:
        """What Helm is told as the chart: the whole address in an OCI registry, else the name in the repository."""
        return f"{self.repository}/{self.name}" if self.repository.startswith(OCI) else self.name


KARPENTER_VERSION: Final = "1.14.1"
_KARPENTER_REPOSITORY: Final = "oci://public.ecr.aws/karpenter"
_KARPENTER_HELD: Final = (
    "the newest that was seen published as a chart (August 2026); of 1.15 only the source was"
)

KARPENTER: Final = Chart(
    name="karpenter",
    repository=_KARPENTER_REPOSITORY,
    version=KARPENTER_VERSION,
    why_held=_KARPENTER_HELD,
)
KARPENTER_CRD: Final = Chart(
    name="karpenter-crd",
    repository=_KARPENTER_REPOSITORY,
    version=KARPENTER_VERSION,
    why_held=_KARPENTER_HELD,
)
LOAD_BALANCER_CONTROLLER: Final = Chart(
    name="aws-load-balancer-controller",
    repository="https://aws.github.io/eks-charts",
    version="3.5.0",
)
