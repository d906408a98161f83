"""What Karpenter's controller may do in the account: make and end instances of this cluster, and look around.

As in the template of its release 1.14 (getting started, cloudformation.yaml), with the account named wherever the
template allows any, and without the rights of its zonal shift, which is off. What it makes carries tags with
the cluster's name; what has none of them it can not touch.
"""

from typing import Any, Final

from components.aws.policy_document import Statement
from settings.cluster import EksCluster

TAGGED_NODEPOOL: Final = "karpenter.sh/nodepool"
TAGGED_CLASS: Final = "karpenter.k8s.aws/ec2nodeclass"
TAGGED_EKS: Final = "eks:eks-cluster-name"
TAGGED_REGION: Final = "topology.kubernetes.io/region"
LAUNCHED: Final = (
    "fleet",
    "instance",
    "launch-template",
    "network-interface",
    "spot-instances-request",
    "volume",
)


def controller_statements(cluster: EksCluster, *, node_role: str, queue_arn: str) -> list[Statement]:
    """Return the controller's policy. `node_role`: the name of the one role that its nodes may get."""
    return [
        *_launching(cluster),
        *_instance_profiles(cluster, node_role),
        *_looking(cluster),
        Statement(
            sid="ReadInterruptions",
            actions=("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
            resources=(queue_arn,),
        ),
        Statement(
            sid="FindTheCluster",
            actions=("eks:DescribeCluster",),
            resources=(cluster.arn,),
        ),
    ]


def _ec2(cluster: EksCluster, *kinds: str, account: str | None = None) -> list[str]:
    """Return ARNs of everything of some kinds in the region, of this account or another's (empty: Amazon's)."""
    owner = cluster.account if account is None else account
    return [f"arn:{cluster.partition}:ec2:{cluster.region}:{owner}:{kind}/*" for kind in kinds]


def _made(cluster: EksCluster) -> dict[str, Any]:
    """Return the condition that something carries the tags of what Karpenter made for this cluster."""
    return {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster.name}": "owned"},
        "StringLike": {f"aws:ResourceTag/{TAGGED_NODEPOOL}": "*"},
    }


def _asked(cluster: EksCluster) -> dict[str, str]:
    """Return the tags that a request has to put on what it makes."""
    return {
        f"aws:RequestTag/kubernetes.io/cluster/{cluster.name}": "owned",
        f"aws:RequestTag/{TAGGED_EKS}": cluster.name,
    }


def _launching(cluster: EksCluster) -> list[Statement]:
    launch = ("ec2:CreateFleet", "ec2:RunInstances")
    new = {f"aws:RequestTag/{TAGGED_NODEPOOL}": "*"}
    return [
        Statement(
            sid="LaunchFrom",
            actions=launch,
            resources=[
                *_ec2(cluster, "image", "snapshot", account=""),
                *_ec2(cluster, "security-group", "subnet", "placement-group"),
                # A reservation may be shared by another account of the company.
                *_ec2(cluster, "capacity-reservation", account="*"),
            ],
        ),
        Statement(
            sid="LaunchFromItsTemplates",
            actions=launch,
            resources=_ec2(cluster, "launch-template"),
            conditions=_made(cluster),
        ),
        Statement(
            sid="LaunchTagged",
            actions=(*launch, "ec2:CreateLaunchTemplate"),
            resources=_ec2(cluster, *LAUNCHED),
            conditions={"StringEquals": _asked(cluster), "StringLike": new},
        ),
        Statement(
            sid="TagWhatIsLaunched",
            actions=("ec2:CreateTags",),
            resources=_ec2(cluster, *LAUNCHED),
            conditions={
                "StringEquals": {
                    **_asked(cluster),
                    "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
                },
                "StringLike": new,
            },
        ),
        Statement(
            sid="TagItsInstances",
            actions=("ec2:CreateTags",),
            resources=_ec2(cluster, "instance"),
            conditions={
                **_made(cluster),
                "StringEqualsIfExists": {f"aws:RequestTag/{TAGGED_EKS}": cluster.name},
                "ForAllValues:StringEquals": {"aws:TagKeys": [TAGGED_EKS, "karpenter.sh/nodeclaim", "Name"]},
            },
        ),
        Statement(
            sid="EndWhatItMade",
            actions=("ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"),
            resources=_ec2(cluster, "instance", "launch-template"),
            conditions=_made(cluster),
        ),
    ]


def _instance_profiles(cluster: EksCluster, node_role: str) -> list[Statement]:
    profiles = (f"arn:{cluster.partition}:iam::{cluster.account}:instance-profile/*",)
    asked = {**_asked(cluster), f"aws:RequestTag/{TAGGED_REGION}": cluster.region}
    asked_class = {f"aws:RequestTag/{TAGGED_CLASS}": "*"}
    made = {
        f"aws:ResourceTag/kubernetes.io/cluster/{cluster.name}": "owned",
        f"aws:ResourceTag/{TAGGED_REGION}": cluster.region,
    }
    made_class = {f"aws:ResourceTag/{TAGGED_CLASS}": "*"}
    return [
        Statement(
            sid="GiveNodesTheirRole",
            actions=("iam:PassRole",),
            resources=(f"arn:{cluster.partition}:iam::{cluster.account}:role/{node_role}",),
            conditions={
                "StringEquals": {
                    "iam:PassedToService": sorted({"ec2.amazonaws.com", f"ec2.{cluster.dns_suffix}"})
                }
            },
        ),
        Statement(
            sid="MakeProfiles",
            actions=("iam:CreateInstanceProfile",),
            resources=profiles,
            conditions={"StringEquals": asked, "StringLike": asked_class},
        ),
        Statement(
            sid="TagItsProfiles",
            actions=("iam:TagInstanceProfile",),
            resources=profiles,
            conditions={"StringEquals": {**made, **asked}, "StringLike": {**made_class, **asked_class}},
        ),
        Statement(
            sid="ChangeItsProfiles",
            actions=(
                "iam:AddRoleToInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
            ),
            resources=profiles,
            conditions={"StringEquals": made, "StringLike": made_class},
        ),
        Statement(sid="ReadProfiles", actions=("iam:GetInstanceProfile",), resources=profiles),
    ]


def _looking(cluster: EksCluster) -> list[Statement]:
    """Return what reads. IAM knows no single resource for it, but for SSM's parameters."""
    return [
        Statement(
            sid="LookAtTheRegion",
            actions=(
                "ec2:DescribeCapacityReservations",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribePlacementGroups",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
            ),
            resources=("*",),
            conditions={"StringEquals": {"aws:RequestedRegion": cluster.region}},
        ),
        Statement(
            sid="FindImages",
            actions=("ssm:GetParameter",),
            resources=(f"arn:{cluster.partition}:ssm:{cluster.region}::parameter/aws/service/*",),
        ),
        Statement(
            sid="LookAtPricesAndProfiles",
            actions=("iam:ListInstanceProfiles", "pricing:GetProducts"),
            resources=("*",),
        ),
    ]
