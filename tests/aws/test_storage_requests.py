"""What storage and image repositories ask of AWS is of the API's shape, and a server that speaks it takes it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_aws import Provider

from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.aws.policy_document import VERSION
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, bucket_statements
from components.aws.shared_storage import SharedStorage, SharedStorageArgs, file_system_statements
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from tests.aws.mechanical import faults, filled, method, operation, request
from tests.contract.storage_factories import FACTORIES, KEY

pytestmark = pytest.mark.contract

Deploy = Callable[[Callable[[], object]], Recorder]
Client = Callable[[str], Any]
Inputs = Mapping[str, Any]
ACCOUNT: Final = "arn:aws:elasticfilesystem:us-east-1:123456789012"
BUCKET: Final = "arn:aws:s3:::acme-models"
# What only AWS knows, by the name of the input.
STAND_INS: Final = {
    "fileSystemId": "fs-0123456789abcdef0",
    "securityGroups": "sg-0123456789abcdef0",
    "securityGroupId": "sg-0123456789abcdef0",
    "subnetId": "subnet-0123456789abcdef0",
    "policy": "{}",
}


def _inside(name: str) -> Callable[[Inputs], Inputs]:
    """Put all but the bucket's name one level down, as most calls of S3 have it."""
    return lambda inputs: {
        "bucket": inputs["bucket"],
        name: {key: value for key, value in inputs.items() if key != "bucket"},
    }


def _repository(inputs: Inputs) -> Inputs:
    """`forceDelete` belongs to another call, and encryption is a list of one."""
    same = {key: inputs[key] for key in inputs.keys() - {"name", "forceDelete", "encryptionConfigurations"}}
    (encryption,) = inputs["encryptionConfigurations"]
    return {**same, "repositoryName": inputs["name"], "encryptionConfiguration": encryption}


# The calls behind a resource, and how its inputs differ from the call's; everything else is mechanical.
CALLS: Final[Mapping[str, tuple[tuple[str, str, Callable[[Inputs], Inputs]], ...]]] = {
    "aws:efs/fileSystem:FileSystem": (
        ("efs", "CreateFileSystem", lambda i: {k: i[k] for k in i.keys() - {"lifecyclePolicies"}}),
        (
            "efs",
            "PutLifecycleConfiguration",
            lambda i: {
                "fileSystemId": STAND_INS["fileSystemId"],
                "lifecyclePolicies": i["lifecyclePolicies"],
            },
        ),
    ),
    "aws:efs/backupPolicy:BackupPolicy": (("efs", "PutBackupPolicy", lambda i: i),),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": (("efs", "PutFileSystemPolicy", lambda i: i),),
    "aws:efs/mountTarget:MountTarget": (("efs", "CreateMountTarget", lambda i: i),),
    "aws:efs/accessPoint:AccessPoint": (
        ("efs", "CreateAccessPoint", lambda i: {**i, "clientToken": "once"}),
    ),
    "aws:s3/bucket:Bucket": (("s3", "CreateBucket", lambda i: i),),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        ("s3", "PutPublicAccessBlock", _inside("publicAccessBlockConfiguration")),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        (
            "s3",
            "PutBucketOwnershipControls",
            lambda i: {"bucket": i["bucket"], "ownershipControls": {"rules": [i["rule"]]}},
        ),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (("s3", "PutBucketPolicy", lambda i: i),),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        ("s3", "PutBucketEncryption", _inside("serverSideEncryptionConfiguration")),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (("s3", "PutBucketVersioning", lambda i: i),),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        ("s3", "PutBucketLifecycleConfiguration", _inside("lifecycleConfiguration")),
    ),
    "aws:ecr/repository:Repository": (("ecr", "CreateRepository", _repository),),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        (
            "ecr",
            "PutLifecyclePolicy",
            lambda i: {"repositoryName": i["repository"], "lifecyclePolicyText": i["policy"]},
        ),
    ),
}
# Calls on what the network's tests prove.
ELSEWHERE: Final = {
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
}


@pytest.fixture
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture
def recorder(deploy: Deploy, settings: Settings) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("aws", region="us-east-1")])
        storage = cast("SharedStorageArgs", FACTORIES[SharedStorage](settings))
        subnets = dict.fromkeys(storage.subnets, STAND_INS["subnetId"])
        SharedStorage("shared", replace(storage, subnets=subnets), options)
        PrivateBucket(
            "bucket",
            PrivateBucketArgs(name="acme-models", key_arn=KEY, protect=True, versioned=True),
            options,
        )
        images = ImageRepositoriesArgs(repositories=["llm/a", "llm/b"], key_arn=KEY)
        ImageRepositories("images", images, options)

    return deploy(program)


def _calls(recorder: Recorder) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return service, operation and parameters of every call, in the order in which the engine can make them."""
    for resource in recorder.registrations:
        for service, name, form in CALLS.get(resource.type, ()):
            # Without tags: the pattern of their keys in EFS's model is no regular expression of Python's.
            written = {key: value for key, value in resource.inputs.items() if key != "tags"}
            inputs = filled(written, STAND_INS)
            yield service, name, request(form(inputs), operation(service, name))


def test_every_resource_has_its_calls(recorder: Recorder) -> None:
    types = {r.type for r in recorder.registrations if r.type.startswith("aws:")}
    assert types - ELSEWHERE == set(CALLS)


def test_the_api_s_model_finds_no_fault(recorder: Recorder) -> None:
    """Members, types, sizes, patterns, and every word that is one of a list."""
    found = {
        f"{service}:{name}": faults(params, operation(service, name))
        for service, name, params in _calls(recorder)
    }
    assert {call: fault for call, fault in found.items() if fault} == {}
    assert len(found) == sum(map(len, CALLS.values()))


def _make(client: Any, recorder: Recorder, *services: str) -> None:  # noqa: ANN401
    for service, name, params in _calls(recorder):
        if service in services:
            getattr(client, method(name))(**params)


def test_the_bucket_is_private_versioned_and_encrypted(recorder: Recorder, aws_client: Client) -> None:
    s3 = aws_client("s3")
    _make(s3, recorder, "s3")
    block = s3.get_public_access_block(Bucket="acme-models")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert s3.get_bucket_versioning(Bucket="acme-models")["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket="acme-models")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY
    (kept,) = s3.get_bucket_lifecycle_configuration(Bucket="acme-models")["Rules"]
    assert kept["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90


def test_its_policy_is_one_that_s3_takes(aws_client: Client) -> None:
    s3 = aws_client("s3")
    s3.create_bucket(Bucket="acme-models")
    statements = [s.to_dict() for s in bucket_statements(BUCKET, f"{BUCKET}/*")]
    s3.put_bucket_policy(
        Bucket="acme-models", Policy=json.dumps({"Version": VERSION, "Statement": statements})
    )
    read = json.loads(s3.get_bucket_policy(Bucket="acme-models")["Policy"])
    assert [statement["Effect"] for statement in read["Statement"]] == ["Deny", "Deny"]


def test_repositories_keep_their_tags(recorder: Recorder, aws_client: Client) -> None:
    ecr = aws_client("ecr")
    _make(ecr, recorder, "ecr")
    repositories = ecr.describe_repositories()["repositories"]
    assert sorted(each["repositoryName"] for each in repositories) == ["llm/a", "llm/b"]
    assert {each["imageTagMutability"] for each in repositories} == {"IMMUTABLE_WITH_EXCLUSION"}
    policy = ecr.get_lifecycle_policy(repositoryName="llm/a")["lifecyclePolicyText"]
    (rule,) = json.loads(policy)["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


def test_the_file_system_has_its_entrance_and_its_policy(recorder: Recorder, aws_client: Client) -> None:
    """Each call by itself, because the server gives the ids."""
    efs = aws_client("efs")
    calls = {name: params for service, name, params in _calls(recorder) if service == "efs"}
    made = efs.create_file_system(**calls["CreateFileSystem"])["FileSystemId"]
    own = {"FileSystemId": made}
    efs.put_lifecycle_configuration(**{**calls["PutLifecycleConfiguration"], **own})
    entrance = efs.create_access_point(**{**calls["CreateAccessPoint"], **own})
    statements = file_system_statements(
        f"{ACCOUNT}:file-system/{made}", f"{ACCOUNT}:access-point/{entrance['AccessPointId']}"
    )
    policy = json.dumps({"Version": VERSION, "Statement": [s.to_dict() for s in statements]})
    efs.put_file_system_policy(FileSystemId=made, Policy=policy)
    (files,) = efs.describe_file_systems(FileSystemId=made)["FileSystems"]
    assert (files["Encrypted"], files["ThroughputMode"], files["KmsKeyId"]) == (True, "elastic", KEY)
    assert entrance["RootDirectory"]["CreationInfo"]["Permissions"] == "0750"
