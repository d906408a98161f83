"""What holds for every stack on EKS that the settings accept, on the graph that the program declares for it."""

import json
from collections.abc import Mapping
from graphlib import TopologicalSorter
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from components.aws.entry import create_cluster_base, create_cluster_services, create_edge
from components.kubernetes_provider import kubernetes_provider
from components.placement import placement
from ops.recorder import Recorder, Registration, record
from settings import EksCluster, Settings
from settings.network import SingleNat
from tests.contract.generated_stacks import stacks

pytestmark = pytest.mark.contract

EFFECTS: Final = {"NO_SCHEDULE": "NoSchedule"}
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
# Each example declares the whole AWS part, about a second's work.
few = hypothesis_settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # To make a failing stack smaller takes minutes, and its settings are told as they are.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def _declared(stack: Settings) -> Recorder:
    def program() -> None:
        base = create_cluster_base(stack, stack="generated")
        assert base is not None
        kubernetes = kubernetes_provider(stack.cluster, base.api)
        services = create_cluster_services(stack, base, kubernetes)
        create_edge(stack, base, kubernetes, namespace=stack.namespace, addons=services.addons)

    return record(program, project="generated", stack="generated")


def _node_sets(recorder: Recorder) -> list[dict[str, Any]]:
    """Return labels, taints (as Kubernetes spells them) and capacity of every group of nodes."""
    groups: list[dict[str, Any]] = [
        {
            "labels": group.inputs["labels"],
            "taints": [
                {**taint, "effect": EFFECTS[taint["effect"]]} for taint in group.inputs.get("taints", [])
            ],
            "spot": group.inputs["capacityType"] == "SPOT",
        }
        for group in recorder.of_type(NODE_GROUP)
    ]
    for pool in _objects(recorder, "NodePool"):
        template = pool.inputs["spec"]["template"]
        capacities = [
            set(one["values"])
            for one in template["spec"]["requirements"]
            if one["key"] == "karpenter.sh/capacity-type"
        ]
        groups.append(
            {
                "labels": template["metadata"]["labels"],
                "taints": template["spec"].get("taints", []),
                "spot": any("spot" in values for values in capacities),
            }
        )
    return groups


def _objects(recorder: Recorder, kind: str) -> list[Registration]:
    return [r for r in recorder.registrations if r.inputs.get("kind") == kind]


def _matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


@given(stack=stacks())
@few
def test_a_stack_keeps_all_rules(stack: Settings) -> None:
    recorder = _declared(stack)
    assert recorder.duplicates() == []
    _no_circle(recorder)
    _subnets_are_apart(recorder, cast("EksCluster", stack.cluster))
    _models_find_their_nodes_and_no_others(recorder, stack)
    _sizes_have_one_owner(recorder)
    _no_role_may_do_everything(recorder)


def _no_circle(recorder: Recorder) -> None:
    needs = {r.urn: {*r.dependencies, *filter(None, [r.parent, r.provider])} for r in recorder.registrations}
    assert len(list(TopologicalSorter(needs).static_order())) >= len(needs)


def _subnets_are_apart(recorder: Recorder, cluster: EksCluster) -> None:
    blocks = [IPv4Network(r.inputs["cidrBlock"]) for r in recorder.of_type("aws:ec2/subnet:Subnet")]
    assert len(blocks) == 3 * len(cluster.zones)
    assert not [pair for pair in combinations(blocks, 2) if pair[0].overlaps(pair[1])]
    assert all(block.subnet_of(IPv4Network(cluster.network.cidr)) for block in blocks)
    gateways = recorder.of_type("aws:ec2/natGateway:NatGateway")
    single = isinstance(cluster.network.nat, SingleNat)
    assert len(gateways) == (1 if single else len(cluster.zones))


def _models_find_their_nodes_and_no_others(recorder: Recorder, stack: Settings) -> None:
    groups = _node_sets(recorder)
    for model in stack.enabled_models:
        pool = stack.pool_of(model)
        pod = placement(model, pool, stack.zones_of(pool))
        mine = [group for group in groups if _matches(pod["nodeSelector"], group["labels"])]
        assert mine, f"{model.name} finds no nodes"
        for group in mine:
            assert group["labels"] == pool.node_labels
            tolerated = [
                {key: toleration[key] for key in ("key", "value", "effect")}
                for toleration in pod["tolerations"]
            ]
            assert group["taints"] == pool.node_taints
            assert all(taint in tolerated for taint in group["taints"])
            assert not (group["spot"] and model.tier == "core")


def _sizes_have_one_owner(recorder: Recorder) -> None:
    """Sizes of node groups are the settings' own, with nothing left to scale; those of Karpenter stand nowhere."""
    for group in recorder.of_type(NODE_GROUP):
        sizes = group.inputs["scalingConfig"]
        assert sizes["minSize"] == sizes["desiredSize"]
        assert sizes["maxSize"] == max(1, sizes["desiredSize"])
    for pool in _objects(recorder, "NodePool"):
        assert ("replicas" in pool.inputs["spec"]) == pool.inputs["metadata"]["name"].endswith("-base")


def _no_role_may_do_everything(recorder: Recorder) -> None:
    policies = recorder.of_type("aws:iam/rolePolicy:RolePolicy")
    assert policies
    for policy in policies:
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            assert not {"*", "*:*"} & set(statement["Action"]), policy.urn
            whole_services = [action for action in statement["Action"] if action.endswith(":*")]
            assert not (whole_services and "*" in statement.get("Resource", [])), policy.urn
