"""Add-ons of EKS: in which versions, in which order, and with which rights."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest
from pulumi_aws import Provider
from pulumi_aws.eks import NodeGroup
from pulumi_aws.ssm import Parameter

from components.aws.eks_addons import NetworkAddons, WorkloadAddons, WorkloadAddonsArgs
from ops.recorder import Recorder, Registration
from settings import EksCluster, Settings, load_stack_file
from settings.eks import AddonVersions
from tests.conftest import ROOT
from tests.contract.network_factories import FACTORIES
from tests.dependencies import before

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
ADDON = "aws:eks/addon:Addon"


@pytest.fixture
def prod() -> Settings:
    """The stack that has everything."""
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


def _addon(recorder: Recorder, name: str) -> Registration:
    (found,) = [addon for addon in recorder.of_type(ADDON) if addon.inputs["addonName"] == name]
    return found


def _install(prod: Settings, **changes: Any) -> None:  # noqa: ANN401 - fields of WorkloadAddonsArgs
    provider = Provider("aws", region="us-east-1")
    options = pulumi.ResourceOptions(providers=[provider])
    early = NetworkAddons("early", FACTORIES[NetworkAddons](prod), options)
    group = NodeGroup(
        "group",
        cluster_name=early.cluster_name,
        node_role_arn="role",
        scaling_config={"desired_size": 1, "max_size": 1, "min_size": 1},
        subnet_ids=["subnet-1"],
        opts=pulumi.ResourceOptions(provider=provider),
    )
    args: WorkloadAddonsArgs = FACTORIES[WorkloadAddons](prod)
    late = WorkloadAddons("late", replace(args, nodes=[group.id], **changes), options)
    Parameter("done", type="String", value=late.ready)


def test_they_are_of_the_pinned_versions_or_of_the_stack_s_own(deploy: Deploy, prod: Settings) -> None:
    cluster = cast("EksCluster", prod.cluster)
    own = cluster.model_copy(update={"addon_versions": AddonVersions(coredns="v9.9.9-eksbuild.9")})
    recorder = deploy(lambda: _install(prod.model_copy(update={"cluster": own})))
    versions = {a.inputs["addonName"]: a.inputs["addonVersion"] for a in recorder.of_type(ADDON)}
    assert versions == {**cluster.facts.addons, "coredns": "v9.9.9-eksbuild.9"}


def test_nodes_wait_for_network_and_identity_and_the_plugin_for_its_rights(
    deploy: Deploy, prod: Settings
) -> None:
    recorder = deploy(lambda: _install(prod))
    agent, plugin, proxy = (
        _addon(recorder, name).urn for name in ("eks-pod-identity-agent", "vpc-cni", "kube-proxy")
    )
    assert {agent, plugin, proxy} <= before(recorder, recorder.one("aws:eks/nodeGroup:NodeGroup").urn)
    assert agent in before(recorder, plugin)


def test_what_runs_on_nodes_waits_for_them(deploy: Deploy, prod: Settings) -> None:
    recorder = deploy(lambda: _install(prod))
    group = recorder.one("aws:eks/nodeGroup:NodeGroup").urn
    late = ("coredns", "aws-ebs-csi-driver", "aws-efs-csi-driver", "eks-node-monitoring-agent")
    assert all(group in before(recorder, _addon(recorder, name).urn) for name in late)
    after = before(recorder, recorder.one("aws:ssm/parameter:Parameter").urn)
    assert {_addon(recorder, name).urn for name in late} <= after


def test_agents_reach_nodes_with_a_taint(deploy: Deploy, prod: Settings) -> None:
    recorder = deploy(lambda: _install(prod))
    volumes = json.loads(_addon(recorder, "aws-ebs-csi-driver").inputs["configurationValues"])
    assert volumes["node"]["tolerateAllTaints"] is True
    monitor = json.loads(_addon(recorder, "eks-node-monitoring-agent").inputs["configurationValues"])
    assert monitor["dcgmAgent"]["tolerations"] == [{"operator": "Exists"}]


def test_new_volumes_carry_the_tags(deploy: Deploy, prod: Settings) -> None:
    recorder = deploy(lambda: _install(prod, tags={"stack": "prod", "owner": "me"}))
    volumes = json.loads(_addon(recorder, "aws-ebs-csi-driver").inputs["configurationValues"])
    assert volumes["controller"]["extraVolumeTags"] == {"stack": "prod", "owner": "me"}


def test_each_has_a_role_of_its_own_where_it_calls_aws(deploy: Deploy, prod: Settings) -> None:
    recorder = deploy(lambda: _install(prod))
    accounts = {
        addon.inputs["addonName"]: [
            one["serviceAccount"] for one in addon.inputs.get("podIdentityAssociations", [])
        ]
        for addon in recorder.of_type(ADDON)
    }
    assert {name: found for name, found in accounts.items() if found} == {
        "vpc-cni": ["aws-node"],
        "aws-ebs-csi-driver": ["ebs-csi-controller-sa"],
        "aws-efs-csi-driver": ["efs-csi-controller-sa"],
    }
    rights = recorder.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert sorted(right.inputs["policyArn"] for right in rights) == [
        "arn:aws:iam::aws:policy/AmazonEBSCSIDriverPolicyV2",
        "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
        "arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy",
    ]


def test_a_driver_of_shared_files_comes_only_with_a_file_system(deploy: Deploy, prod: Settings) -> None:
    recorder = deploy(lambda: _install(prod, efs=False))
    assert "aws-efs-csi-driver" not in {a.inputs["addonName"] for a in recorder.of_type(ADDON)}


def test_a_change_by_hand_stops_no_update(deploy: Deploy, prod: Settings) -> None:
    for addon in deploy(lambda: _install(prod)).of_type(ADDON):
        assert addon.inputs["resolveConflictsOnCreate"] == "OVERWRITE"
        assert addon.inputs["resolveConflictsOnUpdate"] == "OVERWRITE"
