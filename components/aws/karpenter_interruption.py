"""What AWS says about instances before it takes them away, collected in a queue that Karpenter reads.

Owns: the queue, its policy, and the rules that fill it. Does not own: the right to read it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.cloudwatch import EventRule, EventTarget
from pulumi_aws.sqs import Queue, QueuePolicy

from components.aws.known_after import known_after
from components.aws.policy_document import Statement, policy_document
from settings.cluster import EksCluster

# By the name of the rule: source and kind of the event (Karpenter 1.14, pkg/controllers/interruption/messages).
EVENTS: Final[Mapping[str, tuple[str, str]]] = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
RETENTION_SECONDS: Final = 300
"""A warning is two minutes ahead: one that is older than five is of no use any more."""


def queue_name(cluster: EksCluster) -> str:
    """Name the queue; also what the names of the rules begin with."""
    return f"{cluster.name}-karpenter"


def queue_arn(cluster: EksCluster) -> str:
    """Return the queue's ARN, known before the queue is."""
    return f"arn:{cluster.partition}:sqs:{cluster.region}:{cluster.account}:{queue_name(cluster)}"


@dataclass(frozen=True, kw_only=True)
class InterruptionsArgs:
    """The cluster whose nodes are to be warned."""

    cluster: EksCluster


class Interruptions(pulumi.ComponentResource):
    """Makes them. `queue` is the queue's name, known once events reach it."""

    queue: pulumi.Output[str]

    def __init__(
        self, name: str, args: InterruptionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:nodes:Interruptions", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        queue = Queue(
            f"{name}-queue",
            name=queue_name(cluster),
            message_retention_seconds=RETENTION_SECONDS,
            # SQS's own key: EventBridge can not write with one of AWS's managed KMS keys, and ids of instances are no secret.
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        policy = QueuePolicy(
            f"{name}-policy",
            queue_url=queue.url,
            policy=policy_document(queue_statements(cluster)),
            opts=child,
        )
        filled: list[pulumi.Output[str]] = [policy.id]
        for kind, (source, detail) in EVENTS.items():
            rule = EventRule(
                f"{name}-{kind}",
                name=f"{queue_name(cluster)}-{kind}",
                description=f"{detail}: told to Karpenter",
                event_pattern=json.dumps({"detail-type": [detail], "source": [source]}),
                opts=child,
            )
            target = EventTarget(
                f"{name}-{kind}-target", rule=rule.name, target_id="karpenter", arn=queue.arn, opts=child
            )
            filled.append(target.id)
        self.queue = known_after(queue.name, *filled)
        self.register_outputs({"queue": self.queue})


def queue_statements(cluster: EksCluster) -> list[Statement]:
    """Return who may write to the queue: our rules, and nobody without TLS."""
    rules = f"arn:{cluster.partition}:events:{cluster.region}:{cluster.account}:rule/{queue_name(cluster)}-*"
    return [
        Statement(
            sid="EventsOfOurRules",
            actions=("sqs:SendMessage",),
            resources=(queue_arn(cluster),),
            principals={"Service": "events.amazonaws.com"},
            conditions={"ArnLike": {"aws:SourceArn": rules}},
        ),
        Statement(
            sid="OnlyTls",
            effect="Deny",
            actions=("sqs:*",),
            resources=(queue_arn(cluster),),
            principals="*",
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
    ]
