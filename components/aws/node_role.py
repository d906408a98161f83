"""The role of nodes: they join the cluster and pull images, and nothing else.

Owns: the role and its two policies. What pods need of AWS, the network plugin included, they get by Pod
Identity; a pod that reaches the node's role reaches nothing of value.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.iam import Role, RolePolicyAttachment

from components.aws.known_after import known_after
from components.aws.policy_document import service_trust
from settings.cluster import EksCluster

POLICIES: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")


def elastic_role_name(cluster: EksCluster) -> str:
    """Name the role of the nodes that Karpenter makes. It is known before the role is, so that a policy can name it."""
    return f"{cluster.name}-elastic-node"


@dataclass(frozen=True, kw_only=True)
class NodeRoleArgs:
    """`role_name` is unique in the account. `partition`: `aws`, `aws-cn` or `aws-us-gov`."""

    role_name: str
    partition: str


class NodeRole(pulumi.ComponentResource):
    """Makes it. `arn` and `name` are known once its policies are attached."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, name: str, args: NodeRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:identity:NodeRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        suffix = "amazonaws.com.cn" if args.partition == "aws-cn" else "amazonaws.com"
        role = Role(
            f"{name}-role",
            name=args.role_name,
            assume_role_policy=service_trust(f"ec2.{suffix}"),
            opts=child,
        )
        attached = [
            RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=f"arn:{args.partition}:iam::aws:policy/{policy}",
                opts=child,
            ).id
            for policy in POLICIES
        ]
        # A node that starts before its policies are there fails to join, and is not tried again.
        self.arn = known_after(role.arn, *attached)
        self.name = known_after(role.name, *attached)
        self.register_outputs({"arn": self.arn, "name": self.name})
