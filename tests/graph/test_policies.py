"""The rules of the policy pack over what each stack deploys: all keep them, and what is taken away is missed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from ops.policy import judge, policy_config
from ops.program_graph import ProgramGraph
from ops.render import RELEASE_TYPE

pytestmark = pytest.mark.graph

Node = Mapping[str, Any]


def _kind(*kinds: str) -> Callable[[Node], bool]:
    return lambda node: node["type"].rpartition(":")[2] in kinds


def _chart(name: str) -> Callable[[Node], bool]:
    return lambda node: node["type"] == RELEASE_TYPE and node["inputs"]["chart"].endswith(name)


# What is taken out of prod -> the rule that misses it. Settings refuse most of these; somebody who edits components is not asked.
MISSED: Final[dict[str, Callable[[Node], bool]]] = {
    "gpu-metrics-are-collected": _chart("dcgm-exporter"),
    "core-models-are-quantized": _kind("ServiceAccount"),
    "licences-are-allowed": _kind("ServiceAccount"),
    "models-have-one-scaler": _kind("ScaledObject"),
    "models-have-a-disruption-budget": _kind("PodDisruptionBudget"),
    "routes-can-shift-traffic": _kind("HTTPRoute"),
    "models-are-in-the-mesh": _kind("PeerAuthentication"),
    "models-have-an-authorization-policy": _kind("AuthorizationPolicy"),
    "pods-have-a-network-policy": _kind("NetworkPolicy"),
    "routes-ask-for-a-token": _kind("SecurityPolicy"),
    "routes-have-a-rate-limit": _kind("BackendTrafficPolicy"),
    "logs-are-collected": _chart("opentelemetry-collector"),
    "models-have-alerts": _kind("PrometheusRule"),
    "dashboards-show-the-slowest-requests": _kind("ConfigMap"),
    "buckets-are-closed": _kind("BucketPublicAccessBlock"),
    "shared-files-are-backed-up": _kind("BackupPolicy"),
}


def test_every_stack_keeps_the_rules(graph: ProgramGraph, each_stack: str, root: Path) -> None:
    outcome = judge(graph, policy_config(each_stack, root))
    assert [each.message for each in outcome.violations if each.level == "mandatory"] == []


def test_no_exemption_is_for_nothing(graph: ProgramGraph, each_stack: str, root: Path) -> None:
    config = policy_config(each_stack, root)
    unbound = judge(graph, replace(config, exempt={}))
    spoken_of = {(each.rule, each.urn.rpartition("::")[2]) for each in unbound.violations}
    for rule, resource in config.exempt:
        assert any(name == rule and about.startswith(resource) for name, about in spoken_of)


@pytest.mark.parametrize("rule", MISSED)
def test_what_is_taken_away_is_missed(prod: ProgramGraph, rule: str, root: Path) -> None:
    left = tuple(node for node in prod.resources if not MISSED[rule](node))
    assert len(left) < len(prod.resources)
    outcome = judge(
        ProgramGraph(resources=left, outputs=prod.outputs, warnings=()), policy_config("prod", root)
    )
    assert rule in {each.rule for each in outcome.violations if each.level == "mandatory"}


def test_what_is_written_by_hand_is_seen(prod: ProgramGraph, root: Path) -> None:
    queue = {"type": "aws:sqs/queue:Queue", "name": "mine", "urn": "urn:mine", "inputs": {"name": "mine"}}
    machine = {
        "type": "aws:ec2/instance:Instance",
        "name": "big",
        "urn": "urn:big",
        "inputs": {"instanceType": "p4d.24xlarge"},
    }
    released: Any = json.loads(json.dumps(next(node for node in prod.resources if _chart("loki")(node))))
    released["inputs"]["values"]["adminPassword"] = "hunter2"
    added = cast("tuple[Node, ...]", (*prod.resources, queue, machine, released))
    outcome = judge(
        ProgramGraph(resources=added, outputs=prod.outputs, warnings=()), policy_config("prod", root)
    )
    assert {each.rule for each in outcome.violations if each.level == "mandatory"} == {
        "what-is-kept-is-encrypted",
        "machines-are-in-the-budget",
        "machines-hide-their-credentials",
        "no-secret-in-values",
    }
