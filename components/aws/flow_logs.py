"""Who talked to whom in a VPC, and what was refused.

Owns: the flow log, its log group, and the role that writes. Does not own: the key of the log group.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.cloudwatch import LogGroup
from pulumi_aws.ec2 import FlowLog
from pulumi_aws.iam import Role, RolePolicy

from components.aws.known_after import known_after
from components.aws.policy_document import Statement, policy_document
from settings.cluster import EksCluster

SERVICE: Final = "vpc-flow-logs.amazonaws.com"
AGGREGATION_SECONDS: Final = 600
"""The longer of the two that AWS offers (the other is 60): fewer records, each of which is paid for."""


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """`key_arn` encrypts the log group; CloudWatch Logs may use it."""

    cluster: EksCluster
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class FlowLogs(pulumi.ComponentResource):
    """Makes the flow log."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:network:FlowLogs", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        group = LogGroup(
            f"{name}-group",
            name=group_name(cluster),
            retention_in_days=cluster.network.flow_log_days,
            kms_key_id=args.key_arn,
            opts=child,
        )
        role = Role(
            f"{name}-role",
            name=f"{cluster.name}-flow-logs",
            assume_role_policy=policy_document([trust(cluster)]),
            opts=child,
        )
        policy = RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document([write_statement(cluster)]),
            opts=child,
        )
        log = FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            # Refused and accepted: an investigation asks where something went, not only where it could not.
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            # Known with its rights: a flow log that may not write shows an error nobody looks at.
            iam_role_arn=known_after(role.arn, policy.id),
            max_aggregation_interval=AGGREGATION_SECONDS,
            tags={"Name": cluster.name},
            opts=child,
        )
        self.register_outputs({"log": log.id})


def group_name(cluster: EksCluster) -> str:
    """Name the log group."""
    return f"/aws/vpc/{cluster.name}/flow-logs"


def trust(cluster: EksCluster) -> Statement:
    """Return the role's trust: the service may write for flow logs of this account and region, for nobody else's."""
    logs = f"arn:{cluster.partition}:ec2:{cluster.region}:{cluster.account}:vpc-flow-log/*"
    return Statement(
        sid="FlowLogs",
        actions=("sts:AssumeRole",),
        principals={"Service": SERVICE},
        conditions={
            "StringEquals": {"aws:SourceAccount": cluster.account},
            "ArnLike": {"aws:SourceArn": logs},
        },
    )


def write_statement(cluster: EksCluster) -> Statement:
    """Return the right to write into the one log group. Not to create one: it is there, with a retention."""
    group = f"arn:{cluster.partition}:logs:{cluster.region}:{cluster.account}:log-group:{group_name(cluster)}"
    return Statement(
        sid="WriteItsLogGroup",
        actions=(
            "logs:CreateLogStream",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ),
        resources=(group, f"{group}:*"),
    )
