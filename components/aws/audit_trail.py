"""The audit logs of the cluster's API and of the gateway, in a place where nobody can change them.

Owns: a bucket that is written once, its key, the stream that writes there, and the filter that takes the audit log out
of the control plane's log group. Does not own: that group (`control_plane`), and what brings the gateway's lines of who
called which model: the log agent (`addons/otel_audit`), whose right to write is made with the other add-ons' rights.

The cluster's own administrators can delete the log group. They can not delete what the stream has taken from it, some
minutes after it was written.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.cloudwatch import LogGroup, LogStream, LogSubscriptionFilter
from pulumi_aws.iam import Role, RolePolicy
from pulumi_aws.kinesis import (
    FirehoseDeliveryStream,
    FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationArgsDict,
    FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorArgsDict,
)

from components.audit_bucket import CLUSTER_PREFIX, GATEWAY_PREFIX
from components.aws.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.aws.known_after import known_after
from components.aws.policy_document import Statement, policy_document
from components.aws.private_bucket import ObjectLock, PrivateBucket, PrivateBucketArgs
from settings.audit import S3Audit
from settings.cluster import EksCluster

PATTERN: Final = '{ $.apiVersion = "audit.k8s.io/*" }'
"""Of audit events; the group also has what API server, scheduler and controllers say."""
PREFIX: Final = f"{CLUSTER_PREFIX}/!{{timestamp:yyyy/MM/dd}}/"
ERROR_PREFIX: Final = "errors/kubernetes/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
AGENT: Final = "otel-agent"
BUFFER_SECONDS: Final = 300
BUFFER_MIB: Final = 64
ERROR_DAYS: Final = 90


@dataclass(frozen=True, kw_only=True)
class AuditTrailArgs:
    """`logs`: the control plane's log group, known once it is there. `log_key`: of the stream's own log.

    account_root: ARN of the account's root. protect: no `pulumi destroy` takes the bucket.
    """

    cluster: EksCluster
    audit: S3Audit
    logs: pulumi.Input[str]
    log_key: pulumi.Input[str]
    account_root: str
    protect: bool


class AuditTrail(pulumi.ComponentResource):
    """Makes it. `bucket` is known once the audit log runs into it."""

    bucket: pulumi.Output[str]

    def __init__(self, name: str, args: AuditTrailArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:security:AuditTrail", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        key = EncryptionKey(
            f"{name}-key",
            EncryptionKeyArgs(
                alias=key_alias(args.cluster),
                description=f"Audit logs of the cluster {args.cluster.name}",
                account_root=args.account_root,
            ),
            self._child,
        )
        bucket = PrivateBucket(
            f"{name}-bucket",
            PrivateBucketArgs(
                name=args.audit.bucket,
                key_arn=key.arn,
                protect=args.protect,
                versioned=True,
                lock=ObjectLock(days=args.audit.days, mode=args.audit.mode),
                statements=(only_writers(args.cluster, args.audit),),
            ),
            self._child,
        )
        stream = self._stream(bucket, key)
        feed = self._role(
            "feed", f"logs.{args.cluster.region}.{args.cluster.dns_suffix}", put_records(args.cluster)
        )
        subscription = LogSubscriptionFilter(
            f"{name}-filter",
            name=f"{args.cluster.name}-audit",
            log_group=args.logs,
            filter_pattern=PATTERN,
            destination_arn=stream.arn,
            role_arn=feed,
            opts=self._child,
        )
        self.bucket = known_after(bucket.name, subscription.id)
        self.register_outputs({"bucket": self.bucket})

    def _stream(self, bucket: PrivateBucket, key: EncryptionKey) -> FirehoseDeliveryStream:
        name, args = self._name, self._args
        group = LogGroup(
            f"{name}-errors",
            name=f"/aws/kinesisfirehose/{stream_name(args.cluster)}",
            retention_in_days=ERROR_DAYS,
            kms_key_id=args.log_key,
            opts=self._child,
        )
        log = LogStream(
            f"{name}-errors-of-delivery", name="delivery", log_group_name=group.name, opts=self._child
        )
        writer = self._role("writer", "firehose.amazonaws.com", *write_objects(args.cluster, args.audit))
        return FirehoseDeliveryStream(
            f"{name}-stream",
            name=stream_name(args.cluster),
            destination="extended_s3",
            server_side_encryption={"enabled": True, "key_type": "AWS_OWNED_CMK"},
            extended_s3_configuration={
                "bucket_arn": bucket.arn,
                "role_arn": writer,
                "kms_key_arn": key.arn,
                "prefix": PREFIX,
                "error_output_prefix": ERROR_PREFIX,
                "buffering_interval": BUFFER_SECONDS,
                "buffering_size": BUFFER_MIB,
                "compression_format": "GZIP",
                # CloudWatch packs and compresses what it sends: kept is one event a line.
                "processing_configuration": processing(),
                "cloudwatch_logging_options": {
                    "enabled": True,
                    "log_group_name": group.name,
                    "log_stream_name": log.name,
                },
            },
            opts=self._child,
        )

    def _role(self, role: str, service: str, *statements: Statement) -> pulumi.Output[str]:
        cluster = self._args.cluster
        made = Role(
            f"{self._name}-{role}",
            name=_role_name(cluster, role),
            assume_role_policy=policy_document([trust(cluster, service)]),
            opts=self._child,
        )
        rights = RolePolicy(
            f"{self._name}-{role}-policy",
            role=made.name,
            policy=policy_document(statements),
            opts=self._child,
        )
        return known_after(made.arn, rights.id)


def key_alias(cluster: EksCluster) -> str:
    """Return the name of the bucket's key, without `alias/`. Who may read weights may not read this."""
    return f"{cluster.name}-audit"


def stream_name(cluster: EksCluster) -> str:
    """Name the stream."""
    return f"{cluster.name}-audit"


def _role_name(cluster: EksCluster, role: str) -> str:
    return f"{cluster.name}-audit-{role}"


def processing() -> FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationArgsDict:
    """Return what the stream does with each record."""

    def step(
        kind: str, parameter: str, value: str
    ) -> FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorArgsDict:
        return {"type": kind, "parameters": [{"parameter_name": parameter, "parameter_value": value}]}

    return {
        "enabled": True,
        "processors": [
            step("Decompression", "CompressionFormat", "GZIP"),
            step("CloudWatchLogProcessing", "DataMessageExtraction", "true"),
        ],
    }


def trust(cluster: EksCluster, service: str) -> Statement:
    """Return a role's trust: the service may act for this account, for nobody else's."""
    return Statement(
        sid="Service",
        actions=("sts:AssumeRole",),
        principals={"Service": service},
        conditions={"StringEquals": {"aws:SourceAccount": cluster.account}},
    )


def put_records(cluster: EksCluster) -> Statement:
    """Return the right to feed the stream."""
    stream = f"arn:{cluster.partition}:firehose:{cluster.region}:{cluster.account}:deliverystream/{stream_name(cluster)}"
    return Statement(
        sid="FeedTheStream", actions=("firehose:PutRecord", "firehose:PutRecordBatch"), resources=(stream,)
    )


def write_objects(cluster: EksCluster, audit: S3Audit) -> list[Statement]:
    """Return the right to write objects, not to read or delete one, and to say what went wrong."""
    bucket = f"arn:{cluster.partition}:s3:::{audit.bucket}"
    group = (
        f"arn:{cluster.partition}:logs:{cluster.region}:{cluster.account}:"
        f"log-group:/aws/kinesisfirehose/{stream_name(cluster)}"
    )
    return [
        Statement(
            sid="FindTheBucket",
            actions=("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
            resources=(bucket,),
        ),
        *_put(cluster, audit, CLUSTER_PREFIX, "errors"),
        Statement(sid="SayWhatWentWrong", actions=("logs:PutLogEvents",), resources=(f"{group}:*",)),
    ]


def agent_role(cluster: EksCluster) -> str:
    """Name the role of the log agent, which brings the gateway's lines."""
    return f"{cluster.name}-{AGENT}"


def write_gateway_lines(cluster: EksCluster, audit: S3Audit) -> list[Statement]:
    """Return the log agent's right to add objects below its own prefix."""
    return _put(cluster, audit, GATEWAY_PREFIX)


def _put(cluster: EksCluster, audit: S3Audit, *prefixes: str) -> list[Statement]:
    """Return the right to add objects, and to encrypt them with the bucket's key."""
    bucket = f"arn:{cluster.partition}:s3:::{audit.bucket}"
    return [
        Statement(
            sid="WriteObjects",
            actions=("s3:AbortMultipartUpload", "s3:PutObject"),
            resources=tuple(f"{bucket}/{prefix}/*" for prefix in prefixes),
        ),
        Statement(
            sid="UseItsKey",
            actions=("kms:Decrypt", "kms:GenerateDataKey"),
            resources=(f"arn:{cluster.partition}:kms:{cluster.region}:{cluster.account}:key/*",),
            conditions={
                "StringEquals": {"kms:ViaService": f"s3.{cluster.region}.{cluster.dns_suffix}"},
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{key_alias(cluster)}"},
            },
        ),
    ]


def only_writers(cluster: EksCluster, audit: S3Audit) -> Statement:
    """Return the bucket's own rule: what is in it came from the stream or the log agent, each below its own prefix.

    An administrator could else add what never was.
    """
    roles = f"arn:{cluster.partition}:iam::{cluster.account}:role"
    return Statement(
        sid="OnlyTheStreamsWrite",
        effect="Deny",
        actions=("s3:PutObject",),
        resources=(f"arn:{cluster.partition}:s3:::{audit.bucket}/*",),
        principals="*",
        conditions={
            "ArnNotEquals": {
                "aws:PrincipalArn": [
                    f"{roles}/{_role_name(cluster, 'writer')}",
                    f"{roles}/{agent_role(cluster)}",
                ]
            }
        },
    )
