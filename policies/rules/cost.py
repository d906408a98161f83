"""Cost: nothing runs that the stack's estimate, and so its budget, does not know of. That it is kept the settings see to."""

from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Resource, resource_rule, typed
from .values import UNKNOWN, at, entries, text

AREA: Final = "cost"
POOL: Final = "vllm-platform.io/pool"
NODE_POOL: Final = "kubernetes:karpenter.sh/v1:NodePool"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
_MACHINES: Final = (
    "aws:ec2/instance:Instance",
    "aws:ec2/fleet:Fleet",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/spotFleetRequest:SpotFleetRequest",
    "aws:autoscaling/group:Group",
    "aws:eks/fargateProfile:FargateProfile",
    "aws:sagemaker/endpoint:Endpoint",
    "aws:rds/instance:Instance",
    "aws:rds/cluster:Cluster",
)


@resource_rule(
    "machines-are-in-the-budget",
    AREA,
    says="Every machine belongs to a pool of the settings, which the stack's budget counts",
    fix="make it a pool of the settings, or give a reason in `policies.exempt`",
    types=typed(NODE_POOL, NODE_GROUP, *_MACHINES),
)
def counted(resource: Resource, config: Config) -> Iterator[str]:
    """One p4d that is written by hand costs as much as all else."""
    kind = resource.type.rpartition(":")[2]
    if resource.type in _MACHINES:
        yield f"{kind} {resource.label} is no pool of the settings"
        return
    labels = _labels(resource)
    pool = at(labels, POOL)
    if labels is not UNKNOWN and pool is not UNKNOWN and not _known(pool, config):
        yield f"{kind} {resource.label} belongs to {text(pool) or 'no pool'}, which the settings do not have"


def _labels(resource: Resource) -> Any:  # noqa: ANN401 - labels of its nodes
    path = ("spec", "template", "metadata", "labels") if resource.type == NODE_POOL else ("labels",)
    return at(resource.props, *path)


def _known(pool: object, config: Config) -> bool:
    return bool(text(pool)) and (not config.pools or pool in config.pools)


@resource_rule(
    "pools-have-an-end",
    AREA,
    says="A pool of Karpenter's has a limit, or a number of nodes",
    fix="set limits.nodes (`max` of the pool)",
    types=typed(NODE_POOL),
)
def limited(resource: Resource, _: Config) -> Iterator[str]:
    """Without one a mistake in a scaler buys as many machines as the account may have."""
    spec = at(resource.props, "spec")
    if spec is UNKNOWN or at(spec, "replicas") is not None or at(spec, "limits") is UNKNOWN:
        return
    if not entries(spec, "limits"):
        yield f"NodePool {resource.label} may grow without end"


RULES: Final = (counted, limited)
