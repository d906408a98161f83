"""Karpenter's controller: what it may do, what it hears of, how it is installed."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
import yaml
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.karpenter import Karpenter, KarpenterDefinitions, controller_values
from components.aws.karpenter_interruption import EVENTS, queue_arn, queue_name, queue_statements
from components.aws.karpenter_policy import controller_statements
from components.aws.node_role import elastic_role_name
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from settings.cluster import EksCluster
from settings.scalars import CLUSTER_NAME_MAX
from tests.contract.pool_factories import FACTORIES

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
INLINE_POLICY_MAX: Final = (
    10_240  # characters of all inline policies of a role, without white space (IAM quotas)
)
# What can not be told from its name that it is harmless: with what the request must be narrowed down.
NARROWED: Final = ("kubernetes.io/cluster/", "aws:RequestedRegion", "iam:PassedToService")


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture(scope="module")
def cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


@pytest.fixture
def recorder(deploy: Deploy, settings: Settings) -> Recorder:
    args: Any = FACTORIES[Karpenter](settings)

    def program() -> None:
        options = pulumi.ResourceOptions(
            providers=[AwsProvider("aws", region="us-east-1"), KubernetesProvider("k8s", kubeconfig="{}")]
        )
        definitions = KarpenterDefinitions(
            "karpenter-definitions", FACTORIES[KarpenterDefinitions](settings), options
        )
        Karpenter("karpenter", replace(args, after=[definitions]), options)

    return deploy(program)


def _statements(cluster: EksCluster) -> dict[str, dict[str, Any]]:
    found = controller_statements(cluster, node_role=elastic_role_name(cluster), queue_arn=queue_arn(cluster))
    return {statement.sid: statement.to_dict() for statement in found}


class TestRights:
    def test_what_changes_anything_is_kept_to_this_cluster(self, cluster: EksCluster) -> None:
        for sid, statement in _statements(cluster).items():
            reading = all(
                action.split(":")[1].startswith(("Describe", "Get", "List")) for action in statement["Action"]
            )
            if sid in {"LaunchFrom", "ReadInterruptions"} or reading:
                continue
            assert any(word in json.dumps(statement["Condition"]) for word in NARROWED), sid

    def test_what_it_launches_from_is_no_launch_by_itself(self, cluster: EksCluster) -> None:
        """RunInstances needs a right on each resource: instances, too, which the tags of the request narrow down."""
        statements = _statements(cluster)
        kinds = {resource.split(":")[-1] for resource in statements["LaunchFrom"]["Resource"]}
        assert not {"instance/*", "volume/*", "network-interface/*", "launch-template/*", "fleet/*"} & kinds
        tagged = statements["LaunchTagged"]["Condition"]["StringEquals"]
        assert tagged == {
            "aws:RequestTag/kubernetes.io/cluster/llm-prod": "owned",
            "aws:RequestTag/eks:eks-cluster-name": "llm-prod",
        }

    def test_it_ends_only_what_it_made(self, cluster: EksCluster) -> None:
        condition = _statements(cluster)["EndWhatItMade"]["Condition"]
        assert condition["StringEquals"] == {"aws:ResourceTag/kubernetes.io/cluster/llm-prod": "owned"}

    def test_it_gives_nodes_one_role_and_no_other(self, cluster: EksCluster) -> None:
        statements = _statements(cluster)
        passing = [s for s in statements.values() if "iam:PassRole" in s["Action"]]
        (statement,) = passing
        assert statement["Resource"] == ["arn:aws:iam::123456789012:role/llm-prod-elastic-node"]
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com"]}}

    def test_no_action_and_no_writing_is_allowed_on_everything(self, cluster: EksCluster) -> None:
        for sid, statement in _statements(cluster).items():
            assert not any("*" in action for action in statement["Action"]), sid
            if "*" in statement["Resource"]:
                verbs = [action.split(":")[1] for action in statement["Action"]]
                assert all(verb.startswith(("Describe", "Get", "List")) for verb in verbs), sid

    def test_it_reads_the_queue_that_is_filled(self, cluster: EksCluster, recorder: Recorder) -> None:
        assert _statements(cluster)["ReadInterruptions"]["Resource"] == [queue_arn(cluster)]
        assert queue_arn(cluster).endswith(f":{recorder.one('aws:sqs/queue:Queue').inputs['name']}")

    def test_its_policy_is_known_in_a_preview_and_small_enough_for_iam(self, recorder: Recorder) -> None:
        (policy,) = recorder.of_type("aws:iam/rolePolicy:RolePolicy")
        document = json.loads(policy.inputs["policy"])
        assert len(json.dumps(document, separators=(",", ":"))) <= INLINE_POLICY_MAX

    def test_a_cluster_in_china_has_its_own_arns(self, cluster: EksCluster) -> None:
        text = json.dumps(_statements(cluster.model_copy(update={"region": "cn-north-1"})))
        assert "arn:aws:" not in text
        assert "ec2.amazonaws.com.cn" in text


class TestInterruptions:
    def test_every_warning_that_karpenter_understands_reaches_the_queue(self, recorder: Recorder) -> None:
        rules = recorder.of_type("aws:cloudwatch/eventRule:EventRule")
        patterns = [json.loads(rule.inputs["eventPattern"]) for rule in rules]
        assert sorted(p["detail-type"][0] for p in patterns) == sorted(kind for _, kind in EVENTS.values())
        targets = recorder.of_type("aws:cloudwatch/eventTarget:EventTarget")
        assert {t.inputs["rule"] for t in targets} == {rule.inputs["name"] for rule in rules}
        queue = recorder.one("aws:sqs/queue:Queue").urn
        assert all(queue in target.dependencies for target in targets)

    def test_the_names_of_rules_are_short_enough(self, cluster: EksCluster) -> None:
        longest = cluster.model_copy(update={"name": "n" * CLUSTER_NAME_MAX})
        assert all(len(f"{queue_name(longest)}-{kind}") <= 64 for kind in EVENTS)

    def test_only_our_rules_write_to_it_and_nobody_without_tls(self, cluster: EksCluster) -> None:
        write, deny = (statement.to_dict() for statement in queue_statements(cluster))
        assert write["Principal"] == {"Service": "events.amazonaws.com"}
        assert write["Condition"] == {
            "ArnLike": {"aws:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/llm-prod-karpenter-*"}
        }
        assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_it_is_encrypted(self, recorder: Recorder) -> None:
        assert recorder.one("aws:sqs/queue:Queue").inputs["sqsManagedSseEnabled"] is True

    def test_the_controller_starts_when_warnings_arrive(self, recorder: Recorder) -> None:
        release = _release(recorder, "karpenter")
        targets = {t.urn for t in recorder.of_type("aws:cloudwatch/eventTarget:EventTarget")}
        assert targets <= set(release.dependencies)


def _release(recorder: Recorder, name: str) -> Any:  # noqa: ANN401 - a registration
    (found,) = [r for r in recorder.of_type(RELEASE) if r.inputs["name"] == name]
    return found


def _unknown(values: Any, known: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON values
    """Yield the keys that a chart does not have. Where its own value is an empty mapping, any key goes."""
    if not isinstance(values, Mapping) or known in ({}, None):
        return
    for key, value in cast("Mapping[str, Any]", values).items():
        if not isinstance(known, Mapping) or key not in known:
            yield f"{path}.{key}"
        else:
            yield from _unknown(value, known[key], f"{path}.{key}")


class TestCharts:
    @pytest.fixture
    def values(self) -> dict[str, Any]:
        return controller_values(cluster_name="llm", queue="llm-karpenter", region="us-east-1", replicas=2)

    @pytest.fixture
    def published(self, root: Path) -> dict[str, Any]:
        path = root.parent / "shared/charts/karpenter/values.yaml"
        if not path.is_file() and os.environ.get("VP_REQUIRE_SHARED") != "1":
            pytest.skip(f"the chart's values are not here: {path}")
        return yaml.safe_load(path.read_text("utf-8"))

    def test_every_value_is_one_that_the_chart_reads(
        self, values: dict[str, Any], published: dict[str, Any]
    ) -> None:
        assert list(_unknown(values, published)) == []

    def test_every_feature_is_switched_by_the_program(
        self, values: dict[str, Any], published: dict[str, Any]
    ) -> None:
        """A feature that a new version switches on by itself would change how nodes come and go."""
        gates = values["settings"]["featureGates"]
        assert set(gates) == set(published["settings"]["featureGates"])
        assert {gate for gate, on in gates.items() if on} == {
            "nodeRepair",
            "reservedCapacity",
            "staticCapacity",
        }

    def test_the_chart_itself_keeps_the_controller_off_its_own_nodes(self, published: dict[str, Any]) -> None:
        (term,) = published["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term["matchExpressions"] == [{"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"}]
        assert published["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]

    def test_what_the_chart_says_of_places_is_left_as_it_is(self, values: dict[str, Any]) -> None:
        assert not {"affinity", "nodeSelector", "tolerations", "topologySpreadConstraints"} & set(values)

    def test_it_asks_no_node_and_no_cluster_service_to_start(self, values: dict[str, Any]) -> None:
        assert {"name": "AWS_REGION", "value": "us-east-1"} in values["controller"]["env"]
        assert values["dnsPolicy"] == "Default"

    def test_definitions_come_first_from_a_chart_of_their_own(self, recorder: Recorder) -> None:
        definitions, release = _release(recorder, "karpenter-definitions"), _release(recorder, "karpenter")
        assert definitions.urn in release.dependencies
        assert release.inputs["skipCrds"] is True
        assert definitions.inputs["version"] == release.inputs["version"]
        assert definitions.inputs["namespace"] == release.inputs["namespace"] == "kube-system"

    def test_it_is_waited_for(self, recorder: Recorder) -> None:
        assert [r.urn for r in recorder.of_type(RELEASE) if r.inputs.get("skipAwait")] == []

    def test_its_pods_get_the_role(self, recorder: Recorder) -> None:
        association = recorder.one("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        release = _release(recorder, "karpenter")
        assert association.urn in release.dependencies
        assert association.inputs["serviceAccount"] == release.inputs["values"]["serviceAccount"]["name"]
        assert association.inputs["namespace"] == release.inputs["namespace"]

    def test_its_nodes_may_join(self, recorder: Recorder) -> None:
        entry = recorder.one("aws:eks/accessEntry:AccessEntry")
        assert entry.inputs["type"] == "EC2_LINUX"
        assert entry.inputs["principalArn"].endswith(":role/llm-prod-node")
