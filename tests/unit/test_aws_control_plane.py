"""The control plane of a cluster on EKS, and who may use it."""

import asyncio
import contextvars
import json
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime import set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.stack import wait_for_rpcs
from pulumi_aws import Provider

from components.aws.control_plane import ControlPlane, ControlPlaneArgs
from components.kubernetes_provider import EksApi, kubernetes_provider
from ops.recorder import UNKNOWN, Recorder
from settings import EksCluster, Settings, load_stack_file
from settings.eks import Access
from settings.network import PrivateEndpoint, PublicEndpoint
from tests.conftest import PROJECT, ROOT, STACK
from tests.contract.network_factories import KEY
from tests.dependencies import before

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
CLUSTER = "aws:eks/cluster:Cluster"
ENTRY = "aws:eks/accessEntry:AccessEntry"
POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ADMIN = "arn:aws:iam::123456789012:role/deployer"
OTHER_ADMIN = "arn:aws:iam::999999999999:role/deployer"
VIEWER = "arn:aws:iam::123456789012:user/team/deployer"


@pytest.fixture
def prod() -> Settings:
    """The stack that has everything."""
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


@pytest.fixture
def cluster(prod: Settings) -> EksCluster:
    """Its cluster."""
    return cast("EksCluster", prod.cluster)


def _options() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(providers=[Provider("aws", region="us-east-1")])


def _plane(cluster: EksCluster, *, deletion_protection: bool = True) -> ControlPlane:
    args = ControlPlaneArgs(
        cluster=cluster, deletion_protection=deletion_protection, subnets=["subnet-1"], key_arn=KEY
    )
    return ControlPlane("llm", args, _options())


class TestCluster:
    def test_only_the_settings_let_anybody_in(self, deploy: Deploy, cluster: EksCluster) -> None:
        access = deploy(lambda: _plane(cluster)).one(CLUSTER).inputs["accessConfig"]
        assert access == {
            "authenticationMode": "API",
            "bootstrapClusterCreatorAdminPermissions": False,
        }

    def test_a_private_api_is_reached_from_the_vpc_alone(self, deploy: Deploy, cluster: EksCluster) -> None:
        private = cluster.model_copy(update={"endpoint": PrivateEndpoint(kind="private")})
        vpc = deploy(lambda: _plane(private)).one(CLUSTER).inputs["vpcConfig"]
        assert vpc == {
            "endpointPrivateAccess": True,
            "endpointPublicAccess": False,
            "subnetIds": ["subnet-1"],
        }

    def test_a_public_api_is_reached_from_its_list_too(self, deploy: Deploy, cluster: EksCluster) -> None:
        public = cluster.model_copy(
            update={"endpoint": PublicEndpoint(kind="public", allow=("198.51.100.0/24", "203.0.113.7/32"))}
        )
        vpc = deploy(lambda: _plane(public)).one(CLUSTER).inputs["vpcConfig"]
        assert vpc["endpointPublicAccess"] is True
        assert vpc["endpointPrivateAccess"] is True
        assert vpc["publicAccessCidrs"] == ["198.51.100.0/24", "203.0.113.7/32"]

    def test_its_log_group_is_there_first_encrypted_and_not_for_ever(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        recorder = deploy(lambda: _plane(cluster.model_copy(update={"log_days": 30})))
        group = recorder.one("aws:cloudwatch/logGroup:LogGroup")
        assert group.inputs == {"kmsKeyId": KEY, "name": "/aws/eks/llm-prod/cluster", "retentionInDays": 30}
        made = recorder.one(CLUSTER)
        assert group.urn in made.dependencies
        assert len(made.inputs["enabledClusterLogTypes"]) == 5

    def test_it_waits_for_the_rights_of_its_role(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = deploy(lambda: _plane(cluster))
        rights = recorder.one("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        assert rights.inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        assert rights.urn in recorder.one(CLUSTER).dependencies

    def test_its_role_is_of_use_to_no_other_cluster(self, deploy: Deploy, cluster: EksCluster) -> None:
        role = deploy(lambda: _plane(cluster)).one("aws:iam/role:Role").inputs
        (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "eks.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:eks:us-east-1:123456789012:cluster/llm-prod"},
        }

    def test_secrets_are_encrypted_with_a_key_of_ours(self, deploy: Deploy, cluster: EksCluster) -> None:
        inputs = deploy(lambda: _plane(cluster)).one(CLUSTER).inputs
        assert inputs["encryptionConfig"] == {"provider": {"keyArn": KEY}, "resources": ["secrets"]}

    def test_it_is_never_upgraded_into_paid_support_and_brings_no_add_ons_of_its_own(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        inputs = deploy(lambda: _plane(cluster)).one(CLUSTER).inputs
        assert inputs["upgradePolicy"] == {"supportType": "STANDARD"}
        assert inputs["bootstrapSelfManagedAddons"] is False
        assert inputs["kubernetesNetworkConfig"] == {"serviceIpv4Cidr": cluster.network.service_cidr}

    def test_gpus_are_filled_node_by_node(self, deploy: Deploy, cluster: EksCluster) -> None:
        inputs = deploy(lambda: _plane(cluster)).one(CLUSTER).inputs
        assert inputs["kubeSchedulerConfig"]["nodeResourcesFit"]["scoringStrategy"] == {
            "type": "MostAllocated",
            "resources": [{"name": "nvidia.com/gpu", "weight": 1}],
        }

    def test_it_is_protected_from_deletion_where_it_is_asked_for(
        self, deploy: Deploy, cluster: EksCluster
    ) -> None:
        for asked in (True, False):
            made = deploy(lambda asked=asked: _plane(cluster, deletion_protection=asked)).one(CLUSTER)
            assert made.inputs["deletionProtection"] is asked

    def test_what_only_eks_knows_is_unknown_before(self, deploy: Deploy, cluster: EksCluster) -> None:
        """A security group of `None` would be written into every rule of a preview."""
        recorder = deploy(lambda: _plane(cluster))
        (component,) = [r for r in recorder.registrations if r.type.endswith(":ControlPlane")]
        outputs = recorder.outputs[component.urn]
        assert outputs["cluster_name"] == "llm-prod"
        for name in ("endpoint", "certificate_authority", "security_group", "issuer"):
            assert outputs.get(name, UNKNOWN) == UNKNOWN

    def test_what_eks_answers_is_handed_on(self, cluster: EksCluster) -> None:
        assert contextvars.copy_context().run(asyncio.run, _answered(cluster)) == {
            "cluster_name": "llm-prod",
            "endpoint": "https://example.invalid",
            "certificate_authority": "Q0E=",
            "security_group": "sg-1",
            "issuer": "https://oidc.invalid/id/A",
            "logs": "/aws/eks/llm-prod/cluster",
            "access": "llm-prod",
        }


class _Eks(Mocks):
    """Answers like EKS that has made a cluster."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        asked = cast("Any", args).inputs
        if args.typ != CLUSTER:
            return args.name, {**asked, "arn": f"arn:aws:iam::123456789012:role/{args.name}"}
        return args.name, {
            **asked,
            "endpoint": "https://example.invalid",
            "certificateAuthority": {"data": "Q0E="},
            "identities": [{"oidcs": [{"issuer": "https://oidc.invalid/id/A"}]}],
            "vpcConfig": {**asked["vpcConfig"], "clusterSecurityGroupId": "sg-1", "vpcId": "vpc-1"},
        }

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError(args.token)


async def _answered(cluster: EksCluster) -> dict[str, str | None]:
    """Return the outputs of a control plane once it is there."""
    monitor = Recorder(project=PROJECT, stack=STACK)
    monitor.mocks = _Eks()
    set_mocks(monitor.mocks, preview=False, monitor=monitor)
    plane = _plane(cluster)
    names = (
        "cluster_name",
        "endpoint",
        "certificate_authority",
        "security_group",
        "issuer",
        "logs",
        "access",
    )
    found = {name: await cast("pulumi.Output[str]", getattr(plane, name)).future() for name in names}
    await wait_for_rpcs()
    return found


class TestAccess:
    @pytest.fixture
    def shared(self, cluster: EksCluster) -> EksCluster:
        """A cluster of two admins of one name, and a viewer who is an admin as well."""
        access = Access(admins=(ADMIN, OTHER_ADMIN), viewers=(VIEWER, ADMIN))
        return cluster.model_copy(update={"access": access})

    def test_each_principal_has_one_entry_and_the_policy_of_its_role(
        self, deploy: Deploy, shared: EksCluster
    ) -> None:
        recorder = deploy(lambda: _plane(shared))
        assert sorted(entry.inputs["principalArn"] for entry in recorder.of_type(ENTRY)) == sorted(
            [ADMIN, OTHER_ADMIN, VIEWER]
        )
        policies = "arn:aws:eks::aws:cluster-access-policy"
        assert {(p.inputs["principalArn"], p.inputs["policyArn"]) for p in recorder.of_type(POLICY)} == {
            (ADMIN, f"{policies}/AmazonEKSClusterAdminPolicy"),
            (OTHER_ADMIN, f"{policies}/AmazonEKSClusterAdminPolicy"),
            (VIEWER, f"{policies}/AmazonEKSViewPolicy"),
            (ADMIN, f"{policies}/AmazonEKSViewPolicy"),
        }
        assert all(p.inputs["accessScope"] == {"type": "cluster"} for p in recorder.of_type(POLICY))

    def test_who_comes_or_goes_renames_nobody(self, deploy: Deploy, cluster: EksCluster) -> None:
        def entries(*admins: str) -> dict[str, str]:
            changed = cluster.model_copy(update={"access": Access(admins=admins)})
            return {e.inputs["principalArn"]: e.urn for e in deploy(lambda: _plane(changed)).of_type(ENTRY)}

        both = entries(OTHER_ADMIN, ADMIN)
        assert entries(ADMIN) == {ADMIN: both[ADMIN]}

    def test_another_part_of_aws_is_named_as_it_is_there(self, deploy: Deploy, cluster: EksCluster) -> None:
        recorder = deploy(lambda: _plane(cluster.model_copy(update={"region": "cn-north-1"})))
        arn = "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
        assert recorder.one(POLICY).inputs["policyArn"] == arn

    def test_objects_wait_until_every_admin_has_its_rights(self, deploy: Deploy, shared: EksCluster) -> None:
        def program() -> None:
            plane = _plane(shared)
            api = EksApi(
                endpoint=plane.endpoint,
                certificate_authority=plane.certificate_authority,
                access=plane.access,
            )
            kubernetes_provider(shared, api)

        recorder = deploy(program)
        found = before(recorder, recorder.one("pulumi:providers:kubernetes").urn)
        admins = {p.urn for p in recorder.of_type(POLICY) if "ClusterAdmin" in p.inputs["policyArn"]}
        assert len(admins) == 2
        assert admins <= found
