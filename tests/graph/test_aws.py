"""What the program of a stack creates on AWS."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import pytest

from ops.critical_path import critical_path
from ops.program_graph import ProgramGraph
from ops.recorder import UNKNOWN
from ops.render import RenderSummary
from settings import EksCluster, Settings
from settings.network import PublicEndpoint

pytestmark = pytest.mark.graph

Node = Mapping[str, Any]
PROVIDER: Final = "pulumi:providers:aws"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
EVERYBODY: Final = {"0.0.0.0/0", "::/0"}
TAGS: Final = {"stack", "owner", "cost-center"}


@pytest.fixture
def cluster(settings: Settings) -> EksCluster:
    """The cluster of each stack that has one on EKS."""
    if not isinstance(settings.cluster, EksCluster):
        pytest.skip("the cluster of this stack is not on EKS")
    return settings.cluster


@pytest.fixture
def aws(graph: ProgramGraph, cluster: EksCluster) -> list[Node]:
    """Every AWS resource of the stack."""
    found = [node for node in graph.resources if node["type"].startswith("aws:")]
    assert cluster
    assert found
    return found


def _of_type(nodes: list[Node], type_: str) -> list[Node]:
    return [node for node in nodes if node["type"] == type_]


def _addon(nodes: list[Node], name: str) -> str:
    (addon,) = [n for n in _of_type(nodes, "aws:eks/addon:Addon") if n["inputs"]["addonName"] == name]
    return addon["urn"]


def _before(graph: ProgramGraph, urn: str) -> set[str]:
    """Return all that must be there before a resource."""
    by_urn = {node["urn"]: node for node in graph.resources}
    seen: set[str] = set()
    todo = [urn]
    while todo:
        node = by_urn[todo.pop()]
        for other in (*node["dependencies"], node["provider"], node["parent"]):
            if other and other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def _values(value: Any, key: str) -> Iterator[Any]:  # noqa: ANN401 - a JSON value
    """Yield every value under a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            if name == key:
                yield inner
            yield from _values(inner, key)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _values(inner, key)


def test_a_stack_that_is_not_on_eks_has_no_aws_resource(graph: ProgramGraph, settings: Settings) -> None:
    if isinstance(settings.cluster, EksCluster):
        pytest.skip("the cluster of this stack is on EKS")
    assert [n["urn"] for n in graph.resources if n["type"].startswith("aws:") or n["type"] == PROVIDER] == []


def test_the_network_plugin_is_there_before_the_first_node(graph: ProgramGraph, aws: list[Node]) -> None:
    groups = _of_type(aws, NODE_GROUP)
    assert groups
    needed = {_addon(aws, name) for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")}
    assert [group["name"] for group in groups if not needed <= _before(graph, group["urn"])] == []


def test_the_network_plugin_enforces_network_policies(aws: list[Node]) -> None:
    (plugin,) = [n for n in _of_type(aws, "aws:eks/addon:Addon") if n["inputs"]["addonName"] == "vpc-cni"]
    assert json.loads(plugin["inputs"]["configurationValues"])["enableNetworkPolicy"] == "true"


def test_dns_comes_after_the_nodes_that_it_runs_on(graph: ProgramGraph, aws: list[Node]) -> None:
    system = [
        n["urn"]
        for n in _of_type(aws, NODE_GROUP)
        if "::pool-system" in n["urn"] or "pool-system-" in n["urn"]
    ]
    assert system
    assert set(system) <= _before(graph, _addon(aws, "coredns"))


def test_the_log_group_is_there_before_the_cluster_writes_into_one_of_its_own(
    graph: ProgramGraph, aws: list[Node], cluster: EksCluster
) -> None:
    name = f"/aws/eks/{cluster.name}/cluster"
    (group,) = [n for n in _of_type(aws, "aws:cloudwatch/logGroup:LogGroup") if n["inputs"]["name"] == name]
    (made,) = _of_type(aws, "aws:eks/cluster:Cluster")
    assert group["urn"] in _before(graph, made["urn"])
    assert group["inputs"]["retentionInDays"] == cluster.log_days


def test_kubernetes_objects_wait_for_the_rights_to_make_them(graph: ProgramGraph, aws: list[Node]) -> None:
    (provider,) = [n["urn"] for n in graph.resources if n["type"] == "pulumi:providers:kubernetes"]
    entries = {
        n["urn"] for n in aws if n["type"] == "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    }
    assert entries
    assert entries & _before(graph, provider)


def test_every_resource_is_tagged(graph: ProgramGraph, aws: list[Node], cluster: EksCluster) -> None:
    (provider,) = [node for node in graph.resources if node["type"] == PROVIDER]
    assert {node["provider"] for node in aws} == {provider["urn"]}
    tags = json.loads(provider["inputs"]["defaultTags"])["tags"]
    assert set(tags) == TAGS
    assert (tags["owner"], tags["cost-center"]) == (cluster.tags.owner, cluster.tags.cost_center)


def test_what_others_create_for_the_stack_is_tagged(graph: ProgramGraph, aws: list[Node]) -> None:
    templates = _of_type(aws, "aws:ec2/launchTemplate:LaunchTemplate")
    assert templates
    for template in templates:
        by_type = {s["resourceType"]: set(s["tags"]) for s in template["inputs"]["tagSpecifications"]}
        assert all(by_type[kind] >= TAGS for kind in ("instance", "volume", "network-interface"))
    classes = [n for n in graph.resources if n["inputs"].get("kind") == "EC2NodeClass"]
    assert all(set(node_class["inputs"]["spec"]["tags"]) >= TAGS for node_class in classes)


def test_credentials_of_another_account_are_refused(graph: ProgramGraph, cluster: EksCluster) -> None:
    (provider,) = [node for node in graph.resources if node["type"] == PROVIDER]
    assert json.loads(provider["inputs"]["allowedAccountIds"]) == [cluster.account]


def test_the_cluster_s_api_is_public_as_far_as_the_settings_say(aws: list[Node], cluster: EksCluster) -> None:
    (made,) = _of_type(aws, "aws:eks/cluster:Cluster")
    vpc = made["inputs"]["vpcConfig"]
    allowed = list(cluster.endpoint.allow) if isinstance(cluster.endpoint, PublicEndpoint) else []
    assert vpc["endpointPrivateAccess"] is True
    assert (vpc["endpointPublicAccess"], vpc.get("publicAccessCidrs", [])) == (bool(allowed), allowed)


def test_no_other_door_is_open_to_the_internet(aws: list[Node]) -> None:
    """No address block of everybody may come in, no subnet or node gets a public address, no load balancer faces out."""
    for node in aws:
        inputs = node["inputs"]
        for blocks in _values(inputs.get("ingress", []), "cidrBlocks"):
            assert not EVERYBODY & set(blocks), node["urn"]
        if node["type"].endswith("SecurityGroupIngressRule"):
            assert inputs.get("cidrIpv4") not in EVERYBODY, node["urn"]
        assert inputs.get("mapPublicIpOnLaunch", False) is False, node["urn"]
        assert "true" not in list(_values(inputs, "associatePublicIpAddress")), node["urn"]
    assert all(
        n["inputs"]["internal"] is True for n in aws if n["type"] == "aws:lb/loadBalancer:LoadBalancer"
    )
    gateways = _of_type(aws, "aws:ec2/natGateway:NatGateway")
    assert len(_of_type(aws, "aws:ec2/eip:Eip")) == len(gateways)


def test_the_edge_is_there_where_the_settings_ask_for_it(aws: list[Node], settings: Settings) -> None:
    found = {n["type"] for n in aws if n["type"].startswith(("aws:cloudfront/", "aws:wafv2/"))}
    assert bool(found) == settings.public


def test_every_bucket_is_private(aws: list[Node]) -> None:
    buckets = _of_type(aws, "aws:s3/bucket:Bucket")
    assert buckets
    blocks = _of_type(aws, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert len(blocks) == len(buckets)
    switches = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert all(block["inputs"][switch] is True for block in blocks for switch in switches)


def _role_policies(aws: list[Node]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for node in aws:
        if node["type"] in {"aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"}:
            text = node["inputs"]["policy"]
            assert UNKNOWN not in text or text.startswith("{"), f"{node['urn']}: nobody can review it"
            yield node["urn"], json.loads(text)["Statement"]


def test_no_role_may_do_everything(aws: list[Node]) -> None:
    policies = list(_role_policies(aws))
    assert policies
    for urn, statements in policies:
        for statement in statements:
            if statement["Effect"] == "Allow":
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                assert not {"*", "*:*"} & set(actions), urn
                assert not any(a.endswith(":*") and "*" in statement["Resource"] for a in actions), urn
    managed = [
        node["inputs"]["policyArn"]
        for node in aws
        if node["type"] == "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    ]
    assert [arn for arn in managed if "AdministratorAccess" in arn or arn.endswith("FullAccess")] == []


def test_each_workload_has_a_role_of_its_own(aws: list[Node]) -> None:
    pairs = [
        (n["inputs"]["namespace"], n["inputs"]["serviceAccount"])
        for n in _of_type(aws, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    ]
    assert len(set(pairs)) == len(pairs)
    names = [n["inputs"]["name"] for n in _of_type(aws, "aws:iam/role:Role")]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 for name in names)


def test_the_critical_path_is_reported(graph: ProgramGraph, rendered: RenderSummary) -> None:
    chain = critical_path(graph.resources)
    assert rendered.critical_path == tuple(node["name"] for node in chain)
    assert len(chain) > 1
