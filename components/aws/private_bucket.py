"""A bucket on Amazon S3, private, encrypted and TLS only: of weights, of logs and traces, of the database's backups.

Owns: the bucket and everything that is set on it. Does not own: who may read and write (roles of workloads), and what
lies in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
from pulumi_aws.s3 import (
    Bucket,
    BucketLifecycleConfiguration,
    BucketLifecycleConfigurationRuleArgsDict,
    BucketObjectLockConfiguration,
    BucketOwnershipControls,
    BucketPolicy,
    BucketPublicAccessBlock,
    BucketServerSideEncryptionConfiguration,
    BucketVersioning,
)

from components.aws.known_after import known_after
from components.aws.policy_document import Statement, policy_document

NONCURRENT_DAYS: Final = 90
"""How long an object that was deleted or overwritten can be brought back."""
UPLOAD_DAYS: Final = 7
"""After that the parts of an upload that never ended are deleted; they are paid for and listed nowhere."""
OLDEST_TLS: Final = "1.2"


@dataclass(frozen=True, kw_only=True)
class ObjectLock:
    """An object can neither be overwritten nor deleted for `days`, and is deleted after that."""

    days: int
    mode: Literal["governance", "compliance"]


@dataclass(frozen=True, kw_only=True)
class PrivateBucketArgs:
    """`name` is unique in all of AWS. `protect`: no `pulumi destroy` takes the bucket.

    versioned: what is deleted or overwritten can be brought back for a while. Not for what deletes its own old objects.
    lock: needs versions, and is for the life of the bucket. statements: of its policy, beside those of every bucket.
    """

    name: str
    key_arn: pulumi.Input[str]
    protect: bool
    versioned: bool
    lock: ObjectLock | None = None
    statements: Sequence[Statement] = ()


class PrivateBucket(pulumi.ComponentResource):
    """Makes the bucket. `name` and `arn` are known once it is closed to the public."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:storage:PrivateBucket", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        bucket = Bucket(
            f"{name}-bucket",
            bucket=args.name,
            object_lock_enabled=True if args.lock else None,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        closed = self._close(name, bucket, args.statements)
        BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": args.key_arn,
                    },
                    # One call to KMS for many objects: a start reads some hundred of them on every replica.
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._child,
        )
        versions = self._versions(name, bucket) if args.versioned else bucket.bucket
        self._lifecycle(name, versions, args)
        if args.lock is not None:
            lock = self._lock(name, versions, args.lock)
            # Known with its lock: what is written before would not be kept.
            closed = known_after(closed, lock)
        self.name = known_after(bucket.bucket, closed)
        self.arn = known_after(bucket.arn, closed)
        self.register_outputs({"name": self.name, "arn": self.arn})

    def _close(self, name: str, bucket: Bucket, statements: Sequence[Statement]) -> pulumi.Output[str]:
        """Close it, one step after the other: S3 answers two at once with OperationAborted."""
        block = BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        ownership = BucketOwnershipControls(
            f"{name}-ownership",
            bucket=block.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )
        policy = BucketPolicy(
            f"{name}-policy",
            bucket=ownership.bucket,
            policy=policy_document(
                [*bucket_statements(bucket.arn, pulumi.Output.concat(bucket.arn, "/*")), *statements]
            ),
            opts=self._child,
        )
        return policy.id

    def _versions(self, name: str, bucket: Bucket) -> pulumi.Output[str]:
        versioning = BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        return versioning.bucket

    def _lock(self, name: str, bucket: pulumi.Output[str], lock: ObjectLock) -> pulumi.Output[str]:
        configuration = BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=bucket,
            object_lock_enabled="Enabled",
            rule={"default_retention": {"mode": lock.mode.upper(), "days": lock.days}},
            opts=self._child,
        )
        return configuration.id

    def _lifecycle(self, name: str, bucket: pulumi.Output[str], args: PrivateBucketArgs) -> None:
        BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket,
            rules=[locked_rule(args.lock) if args.lock else lifecycle_rule(versioned=args.versioned)],
            opts=self._child,
        )


def lifecycle_rule(*, versioned: bool) -> BucketLifecycleConfigurationRuleArgsDict:
    """Return the one rule: what nobody can see any more is deleted."""
    uploads: BucketLifecycleConfigurationRuleArgsDict = {
        "id": "broken-uploads",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
    }
    if not versioned:
        return uploads
    return {
        **uploads,
        "id": "old-versions-and-broken-uploads",
        "noncurrent_version_expiration": {"noncurrent_days": NONCURRENT_DAYS},
        "expiration": {"expired_object_delete_marker": True},
    }


def locked_rule(lock: ObjectLock) -> BucketLifecycleConfigurationRuleArgsDict:
    """Return the one rule of a bucket that is written once: what is old goes, when its lock has ended."""
    return {
        "id": "old-objects-and-broken-uploads",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
        "expiration": {"days": lock.days + 1},
        "noncurrent_version_expiration": {"noncurrent_days": 1},
    }


def bucket_statements(bucket: pulumi.Input[str], objects: pulumi.Input[str]) -> list[Statement]:
    """Return the bucket's policy: nothing without TLS, nor with an old one. It allows nobody anything."""
    everything = (bucket, objects)
    return [
        Statement(
            sid="OnlyOverTls",
            effect="Deny",
            actions=("s3:*",),
            resources=everything,
            principals="*",
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
        Statement(
            sid="NoOldTls",
            effect="Deny",
            actions=("s3:*",),
            resources=everything,
            principals="*",
            conditions={"NumericLessThan": {"s3:TlsVersion": OLDEST_TLS}},
        ),
    ]
