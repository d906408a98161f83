"""Shared directory, model bucket, who reads it, image repositories: nothing public, nothing without TLS, nothing lost."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_aws import Provider

from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs, lifecycle_policy
from components.aws.model_access import ModelAccess, read_statements, role_name
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, bucket_statements
from components.aws.shared_storage import SharedStorage, SharedStorageArgs, file_system_statements
from components.aws.workload_role import ROLE_NAME_MAX
from ops.recorder import Recorder
from settings import Model, Settings, load_stack_file
from settings.scalars import CLUSTER_NAME_MAX, MODEL_NAME_MAX
from settings.weights import StreamedWeights
from tests.contract.storage_factories import FACTORIES, KEY

if TYPE_CHECKING:
    from settings.cluster import EksCluster

ALIAS: Final = "llm-prod-data"
pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]


@pytest.fixture(scope="module")
def settings(root: Any) -> Settings:  # noqa: ANN401
    return load_stack_file(root / "Pulumi.prod.yaml")


def _deploy(deploy: Deploy, component: type[pulumi.ComponentResource], args: Any) -> Recorder:  # noqa: ANN401
    options = {"region": "us-east-1"}
    return deploy(
        lambda: cast("Any", component)(
            "thing", args, pulumi.ResourceOptions(providers=[Provider("aws", **cast("Any", options))])
        )
    )


@pytest.fixture
def protected(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Types of the resources that `pulumi destroy` is to refuse."""
    found: set[str] = set()
    register = Recorder.RegisterResource

    def noting(self: Recorder, request: Any) -> Any:  # noqa: ANN401
        if request.protect:
            found.add(request.type)
        return register(self, request)

    monkeypatch.setattr(Recorder, "RegisterResource", noting)
    return found


def _storage_args(settings: Settings, *, protect: bool) -> SharedStorageArgs:
    return SharedStorageArgs(
        cluster=cast("EksCluster", settings.cluster),
        vpc_id="vpc-1",
        subnets={"us-east-1b": "subnet-b", "us-east-1a": "subnet-a"},
        clients="sg-nodes",
        key_arn=KEY,
        protect=protect,
    )


class TestSharedStorage:
    @pytest.fixture
    def recorder(self, deploy: Deploy, settings: Settings) -> Recorder:
        return _deploy(deploy, SharedStorage, _storage_args(settings, protect=True))

    def test_files_are_encrypted_with_the_stack_s_key(self, recorder: Recorder) -> None:
        files = recorder.one("aws:efs/fileSystem:FileSystem").inputs
        assert files["encrypted"] is True
        assert files["kmsKeyId"] == KEY

    def test_the_nodes_reach_it_by_nfs_and_nobody_else_does(self, recorder: Recorder) -> None:
        rule = recorder.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
        assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (2049, 2049, "tcp")
        assert rule["referencedSecurityGroupId"] == "sg-nodes"
        assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & set(rule)
        group = recorder.one("aws:ec2/securityGroup:SecurityGroup").inputs
        assert not {"ingress", "egress"} & set(group)

    def test_every_zone_can_mount_it_before_the_handle_is_known(self, recorder: Recorder) -> None:
        targets = recorder.of_type("aws:efs/mountTarget:MountTarget")
        assert [target.inputs["subnetId"] for target in targets] == ["subnet-a", "subnet-b"]
        (outputs,) = [value for urn, value in recorder.outputs.items() if urn.endswith("::thing")]
        assert outputs["volume_handle"] == "[known after deployment]"

    def test_whoever_mounts_it_is_the_engines_user(self, recorder: Recorder) -> None:
        entrance = recorder.one("aws:efs/accessPoint:AccessPoint").inputs
        assert entrance["posixUser"] == {"uid": 1001, "gid": 1001}
        assert entrance["rootDirectory"]["path"] == "/models"
        assert entrance["rootDirectory"]["creationInfo"]["permissions"] == "0750"

    def test_it_is_backed_up(self, recorder: Recorder) -> None:
        policy = recorder.one("aws:efs/backupPolicy:BackupPolicy").inputs
        assert policy["backupPolicy"] == {"status": "ENABLED"}

    def test_only_one_directory_is_mounted_over_tls_and_by_the_network(self) -> None:
        allow, deny = (statement.to_dict() for statement in file_system_statements("files", "entrance"))
        assert allow["Condition"] == {
            "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
            "StringEquals": {"elasticfilesystem:AccessPointArn": "entrance"},
        }
        assert "elasticfilesystem:ClientRootAccess" not in allow["Action"]
        assert (deny["Effect"], deny["Action"]) == ("Deny", ["*"])
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    @pytest.mark.parametrize("protect", [True, False])
    def test_what_holds_files_is_protected_where_that_is_asked(
        self, deploy: Deploy, settings: Settings, protected: set[str], *, protect: bool
    ) -> None:
        _deploy(deploy, SharedStorage, _storage_args(settings, protect=protect))
        files = {"aws:efs/fileSystem:FileSystem", "aws:efs/accessPoint:AccessPoint"}
        assert protected == (files if protect else set())


class TestPrivateBucket:
    @pytest.fixture
    def recorder(self, deploy: Deploy) -> Recorder:
        return _deploy(
            deploy,
            PrivateBucket,
            PrivateBucketArgs(name="acme-models", key_arn=KEY, protect=True, versioned=True),
        )

    def test_no_door_to_the_public_is_left(self, recorder: Recorder) -> None:
        block = recorder.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
        doors = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        assert [block[door] for door in doors] == [True] * 4
        ownership = recorder.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
        assert ownership["rule"] == {"objectOwnership": "BucketOwnerEnforced"}

    def test_everything_set_on_it_is_set_on_this_bucket(self, recorder: Recorder) -> None:
        parts = [r for r in recorder.registrations if r.type.startswith("aws:s3/")]
        assert len(parts) == 7
        assert {part.inputs["bucket"] for part in parts} == {"acme-models"}

    def test_it_has_no_arguments_of_the_old_kind(self, recorder: Recorder) -> None:
        assert recorder.one("aws:s3/bucket:Bucket").inputs == {"bucket": "acme-models"}

    def test_weights_are_encrypted_with_the_stack_s_key(self, recorder: Recorder) -> None:
        type_ = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
        (rule,) = recorder.one(type_).inputs["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": KEY,
        }
        assert rule["bucketKeyEnabled"] is True

    def test_old_versions_stay_for_a_while_and_not_for_ever(self, recorder: Recorder) -> None:
        versioning = recorder.one("aws:s3/bucketVersioning:BucketVersioning").inputs
        assert versioning["versioningConfiguration"] == {"status": "Enabled"}
        type_ = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
        (rule,) = recorder.one(type_).inputs["rules"]
        assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
        assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
        assert "days" not in rule["expiration"]

    def test_nothing_is_read_without_tls_or_with_an_old_one(self) -> None:
        statements = bucket_statements("arn:aws:s3:::acme-models", "arn:aws:s3:::acme-models/*")
        assert [statement.effect for statement in statements] == ["Deny", "Deny"]
        assert [statement.conditions for statement in statements] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        ]

    def test_its_policy_comes_after_the_doors_are_shut(self, recorder: Recorder) -> None:
        """S3 refuses two changes of one bucket's access at the same time."""
        policy = recorder.one("aws:s3/bucketPolicy:BucketPolicy")
        ownership = recorder.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
        block = recorder.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
        assert ownership.urn in policy.dependencies
        assert block.urn in ownership.dependencies

    def test_it_is_protected(self, deploy: Deploy, protected: set[str]) -> None:
        _deploy(
            deploy,
            PrivateBucket,
            PrivateBucketArgs(name="acme-models", key_arn=KEY, protect=True, versioned=True),
        )
        assert protected == {"aws:s3/bucket:Bucket"}


def _streamed(settings: Settings) -> Model:
    return next(model for model in settings.models if isinstance(model.weights, StreamedWeights))


class TestModelAccess:
    def test_a_model_reads_and_lists_its_own_directory(self, settings: Settings) -> None:
        cluster = cast("EksCluster", settings.cluster)
        read, look, decrypt = (s.to_dict() for s in read_statements(cluster, _streamed(settings), ALIAS))
        prefix = f"qwen3-235b-a22b-gptq-int4/{_streamed(settings).revision}"
        assert (read["Action"], read["Resource"]) == (
            ["s3:GetObject"],
            [f"arn:aws:s3:::acme-llm-prod-models/{prefix}/*"],
        )
        assert look["Resource"] == ["arn:aws:s3:::acme-llm-prod-models"]
        assert look["Condition"] == {"StringLike": {"s3:prefix": [prefix, f"{prefix}/*"]}}
        assert decrypt["Action"] == ["kms:Decrypt"]
        assert decrypt["Resource"] == ["arn:aws:kms:us-east-1:123456789012:key/*"]
        assert decrypt["Condition"] == {
            "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{ALIAS}"},
        }

    def test_another_partition_has_other_names(self, settings: Settings) -> None:
        cluster = cast("EksCluster", settings.cluster).model_copy(update={"region": "cn-north-1"})
        read, _, decrypt = (s.to_dict() for s in read_statements(cluster, _streamed(settings), ALIAS))
        assert read["Resource"][0].startswith("arn:aws-cn:s3:::")
        assert decrypt["Condition"]["StringEquals"]["kms:ViaService"] == "s3.cn-north-1.amazonaws.com.cn"

    def test_without_a_key_there_is_nothing_to_decrypt(self, settings: Settings) -> None:
        cluster = cast("EksCluster", settings.cluster)
        statements = read_statements(cluster, _streamed(settings), None)
        assert [statement.sid for statement in statements] == ["ReadItsWeights", "ListItsWeights"]

    def test_a_model_without_a_bucket_gets_no_role(self, settings: Settings) -> None:
        (baked, *_) = [m for m in settings.models if not isinstance(m.weights, StreamedWeights)]
        with pytest.raises(TypeError, match=f"model {baked.name}: weights of kind baked are not read"):
            read_statements(cast("EksCluster", settings.cluster), baked, None)

    def test_the_role_goes_to_the_model_s_own_account(self, deploy: Deploy, settings: Settings) -> None:
        recorder = _deploy(deploy, ModelAccess, FACTORIES[ModelAccess](settings))
        association = recorder.one("aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs
        assert association["serviceAccount"] == _streamed(settings).name
        assert association["namespace"] == settings.namespace

    @given(
        cluster=st.from_regex(r"[a-z][a-z0-9-]{0,28}[a-z0-9]", fullmatch=True),
        first=st.from_regex(r"[a-z][a-z0-9-]{0,46}[a-z0-9]", fullmatch=True),
        second=st.from_regex(r"[a-z][a-z0-9-]{0,46}[a-z0-9]", fullmatch=True),
    )
    def test_role_names_fit_and_differ(self, cluster: str, first: str, second: str) -> None:
        names = {role_name(cluster, model) for model in (first, second)}
        assert len(names) == len({first, second})
        assert all(len(name) <= ROLE_NAME_MAX for name in names)

    def test_the_longest_names_that_differ_at_their_end_differ(self) -> None:
        cluster, model = "c" * CLUSTER_NAME_MAX, "m" * (MODEL_NAME_MAX - 1)
        assert role_name(cluster, f"{model}a") != role_name(cluster, f"{model}b")
        assert len(role_name(cluster, f"{model}a")) == ROLE_NAME_MAX


class TestImageRepositories:
    def _repositories(self, deploy: Deploy, *names: str) -> Recorder:
        return _deploy(deploy, ImageRepositories, ImageRepositoriesArgs(repositories=names, key_arn=KEY))

    def test_there_is_one_for_each_name(self, deploy: Deploy) -> None:
        recorder = self._repositories(deploy, "llm/b", "llm/a", "llm/b")
        names = [r.inputs["name"] for r in recorder.of_type("aws:ecr/repository:Repository")]
        assert names == ["llm/a", "llm/b"]

    def test_their_order_changes_nothing(self, deploy: Deploy) -> None:
        one, other = self._repositories(deploy, "a", "b"), self._repositories(deploy, "b", "a")
        assert {r.urn for r in one.registrations} == {r.urn for r in other.registrations}

    def test_only_the_cache_s_tag_moves(self, deploy: Deploy) -> None:
        repository = self._repositories(deploy, "a").one("aws:ecr/repository:Repository").inputs
        assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert repository["imageTagMutabilityExclusionFilters"] == [
            {"filter": "cache*", "filterType": "WILDCARD"}
        ]

    def test_images_are_scanned_encrypted_and_not_thrown_away(self, deploy: Deploy) -> None:
        repository = self._repositories(deploy, "a").one("aws:ecr/repository:Repository").inputs
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]
        assert repository["forceDelete"] is False

    def test_no_image_with_a_tag_ever_expires(self, deploy: Deploy) -> None:
        policy = self._repositories(deploy, "a").one("aws:ecr/lifecyclePolicy:LifecyclePolicy").inputs
        assert json.loads(policy["policy"]) == lifecycle_policy()
        assert {rule["selection"]["tagStatus"] for rule in lifecycle_policy()["rules"]} == {"untagged"}
        assert all(
            rule["selection"]["countType"] != "imageCountMoreThan" for rule in lifecycle_policy()["rules"]
        )
