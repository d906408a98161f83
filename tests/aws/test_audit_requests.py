"""What the audit stream asks of AWS is of the APIs' shape, and a server that speaks S3 lets nobody delete what it holds."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from botocore.exceptions import ClientError  # pyright: ignore[reportMissingTypeStubs] - it has none
from pulumi_aws import Provider

from components.aws.audit_trail import PATTERN, AuditTrail
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from tests.aws.mechanical import faults, filled, method, operation, request
from tests.aws.test_storage_requests import CALLS as BUCKET_CALLS
from tests.contract.storage_factories import FACTORIES, KEY

pytestmark = pytest.mark.contract

Deploy = Callable[[Callable[[], object]], Recorder]
Client = Callable[[str], Any]
Inputs = Mapping[str, Any]
BUCKET: Final = "acme-audit"
ROLE: Final = "arn:aws:iam::123456789012:role/llm-prod-audit-writer"
STAND_INS: Final = {
    "bucketArn": f"arn:aws:s3:::{BUCKET}",
    "roleArn": ROLE,
    "kmsKeyArn": KEY,
    "kmsMasterKeyId": KEY,
    "destinationArn": "arn:aws:firehose:us-east-1:123456789012:deliverystream/llm-prod-audit",
    "policy": "{}",
}


def _stream(inputs: Inputs) -> Inputs:
    """The API has hints and encryption one level down, and calls the key by what it is for."""
    told = dict(inputs["extendedS3Configuration"])
    hints = {"intervalInSeconds": told.pop("bufferingInterval"), "sizeInMBs": told.pop("bufferingSize")}
    key = {"kmsEncryptionConfig": {"awsKmsKeyArn": told.pop("kmsKeyArn")}}
    return {
        "deliveryStreamName": inputs["name"],
        "deliveryStreamEncryptionConfigurationInput": {"keyType": inputs["serverSideEncryption"]["keyType"]},
        "extendedS3DestinationConfiguration": {
            **told,
            "bufferingHints": hints,
            "encryptionConfiguration": key,
        },
    }


CALLS: Final[Mapping[str, tuple[tuple[str, str, Callable[[Inputs], Inputs]], ...]]] = {
    **{name: calls for name, calls in BUCKET_CALLS.items() if name.startswith("aws:s3/")},
    "aws:s3/bucket:Bucket": (
        (
            "s3",
            "CreateBucket",
            lambda i: {"bucket": i["bucket"], "objectLockEnabledForBucket": i["objectLockEnabled"]},
        ),
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": (
        (
            "s3",
            "PutObjectLockConfiguration",
            lambda i: {
                "bucket": i["bucket"],
                "objectLockConfiguration": {k: v for k, v in i.items() if k != "bucket"},
            },
        ),
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        ("firehose", "CreateDeliveryStream", _stream),
    ),
    "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter": (
        (
            "logs",
            "PutSubscriptionFilter",
            lambda i: {
                "filterName": i["name"],
                "logGroupName": i["logGroup"],
                **{k: i[k] for k in ("filterPattern", "destinationArn", "roleArn")},
            },
        ),
    ),
}


@pytest.fixture
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture
def recorder(deploy: Deploy, settings: Settings) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("aws", region="us-east-1")])
        AuditTrail("audit", FACTORIES[AuditTrail](settings), options)

    return deploy(program)


def _calls(recorder: Recorder) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for resource in recorder.registrations:
        for service, name, form in CALLS.get(resource.type, ()):
            written = {key: value for key, value in resource.inputs.items() if key != "tags"}
            yield service, name, request(form(filled(written, STAND_INS)), operation(service, name))


def test_the_apis_models_find_no_fault(recorder: Recorder) -> None:
    found = {
        f"{service}:{name}": faults(p, operation(service, name)) for service, name, p in _calls(recorder)
    }
    assert {call: fault for call, fault in found.items() if fault} == {}
    assert set(found) >= {"firehose:CreateDeliveryStream", "logs:PutSubscriptionFilter"}


def test_the_bucket_is_locked_before_anything_runs_into_it(recorder: Recorder) -> None:
    """The stream names the bucket by an output that is known once its lock is there."""
    (stream,) = recorder.of_type("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
    (lock,) = recorder.of_type("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    (subscription,) = recorder.of_type("aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter")
    assert lock.urn in stream.dependencies
    assert stream.urn in subscription.dependencies
    assert subscription.inputs["filterPattern"] == PATTERN


def test_nobody_deletes_or_shortens_what_is_in_the_bucket(recorder: Recorder, aws_client: Client) -> None:
    """The server models S3's lock. That Amazon's own keeps it is not shown here."""
    s3 = aws_client("s3")
    for service, name, params in _calls(recorder):
        if service == "s3" and name != "PutBucketPolicy":
            getattr(s3, method(name))(**params)
    version = s3.put_object(Bucket=BUCKET, Key="kubernetes/one", Body=b"who did what")["VersionId"]
    head = s3.head_object(Bucket=BUCKET, Key="kubernetes/one")
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert head["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=399)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key="kubernetes/one", VersionId=version)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Expiration"]["Days"] == 401
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
