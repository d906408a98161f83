"""The one AWS provider of the program.

A function and not a component, as with the Kubernetes provider: its URN is in the state of every resource.
"""

from typing import Final

from pulumi_aws import Provider, ProviderDefaultTagsArgs

from settings.cluster import EksCluster

LOGICAL_NAME: Final = "aws"
STACK_TAG: Final = "stack"
OWNER_TAG: Final = "owner"
COST_CENTER_TAG: Final = "cost-center"


def aws_provider(cluster: EksCluster, *, stack: str) -> Provider:
    """Make the provider. Credentials of another account than the stack's are refused by it, before any resource."""
    return Provider(
        LOGICAL_NAME,
        region=cluster.region,
        allowed_account_ids=[cluster.account],
        default_tags=ProviderDefaultTagsArgs(tags=stack_tags(cluster, stack=stack)),
    )


def stack_tags(cluster: EksCluster, *, stack: str) -> dict[str, str]:
    """Return the tags of everything that the stack creates.

    The provider puts them on its own resources. What others create for the stack (nodes and volumes of an
    autoscaling group, of Karpenter, of a storage driver) is told them by name.
    """
    return {STACK_TAG: stack, OWNER_TAG: cluster.tags.owner, COST_CENTER_TAG: cluster.tags.cost_center}
