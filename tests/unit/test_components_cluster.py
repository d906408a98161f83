"""The provider, the rules of the cluster, and what stops a program before it deploys."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.gpu_admission import policy_spec
from components.kubernetes_provider import (
    EksApi,
    eks_kubeconfig,
    identifier,
    kubeconfig,
    kubernetes_provider,
)
from components.model_namespace import POD_SECURITY_VERSION, namespace_labels
from components.model_priorities import PRIORITIES
from components.node_agents import DAEMONSET_CONTROLLERS, NODE_AGENTS, NodeAgent
from ops.recorder import Recorder
from settings import (
    EksCluster,
    ExistingCluster,
    RehearsalCluster,
    Settings,
)
from settings.eks import Access, Tags
from settings.network import PrivateEndpoint
from settings.sections import DEFAULT_NAMESPACE, SECTIONS

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]

EKS = EksCluster(
    kind="eks",
    name="llm-prod",
    account="123456789012",
    region="us-east-1",
    zones=("us-east-1a", "us-east-1b"),
    endpoint=PrivateEndpoint(kind="private"),
    access=Access(admins=("arn:aws:iam::123456789012:role/deployer",)),
    tags=Tags(owner="platform", cost_center="4711"),
)
API = EksApi(endpoint="https://example.invalid", certificate_authority="Q0E=", access="llm-prod")
EXISTING = ExistingCluster(
    kind="existing",
    kubeconfig="~/.kube/config",
    context="their-cluster",
    region="eu-west-1",
    zones=("eu-west-1a",),
)
REHEARSAL = RehearsalCluster(kind="rehearsal", name="local", region="us-east-1", zones=("us-east-1a",))
TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


class TestProvider:
    def test_a_rehearsal_s_kubeconfig_is_named_relative_to_the_project(self) -> None:
        assert kubeconfig(REHEARSAL) == ".rehearsal/local/kubeconfig"

    def test_an_existing_cluster_is_reached_by_path_and_context(self, deploy: Deploy) -> None:
        provider = deploy(lambda: kubernetes_provider(EXISTING)).one("pulumi:providers:kubernetes")
        assert (provider.inputs["kubeconfig"], provider.inputs["context"]) == (
            "~/.kube/config",
            "their-cluster",
        )

    def test_an_eks_kubeconfig_holds_no_credential(self) -> None:
        config = eks_kubeconfig(EKS, endpoint="https://example.invalid", certificate_authority="Q0E=")
        user = config["users"][0]["user"]
        assert set(user) == {"exec"}
        arguments = ["eks", "get-token", "--cluster-name", "llm-prod", "--region", "us-east-1"]
        assert (user["exec"]["command"], user["exec"]["args"][:6]) == ("aws", arguments)

    def test_an_eks_cluster_is_reached_by_what_eks_answers(self, deploy: Deploy) -> None:
        provider = deploy(lambda: kubernetes_provider(EKS, API)).one("pulumi:providers:kubernetes")
        (cluster,) = json.loads(provider.inputs["kubeconfig"])["clusters"]
        assert cluster["cluster"] == {
            "server": "https://example.invalid",
            "certificate-authority-data": "Q0E=",
        }

    def test_an_eks_cluster_without_its_api_is_refused_in_words(self) -> None:
        with pytest.raises(TypeError, match=r"cluster llm-prod: .*give the provider its EksApi"):
            kubernetes_provider(EKS)

    def test_an_eks_cluster_is_known_by_its_arn(self) -> None:
        assert identifier(EKS) == "arn:aws:eks:us-east-1:123456789012:cluster/llm-prod"

    @pytest.mark.parametrize("cluster", [EKS, EXISTING, REHEARSAL], ids=lambda cluster: cluster.kind)
    def test_it_is_replaced_only_with_the_cluster(
        self, deploy: Deploy, cluster: EksCluster | ExistingCluster | RehearsalCluster
    ) -> None:
        api = API if isinstance(cluster, EksCluster) else None
        provider = deploy(lambda: kubernetes_provider(cluster, api)).one("pulumi:providers:kubernetes")
        assert provider.inputs["clusterIdentifier"] == identifier(cluster)
        moved = cluster.model_copy(update={"zones": ("us-east-1b",)})
        assert identifier(moved) == identifier(cluster)

    def test_clusters_of_all_kinds_are_told_apart(self) -> None:
        other = REHEARSAL.model_copy(update={"name": "other"})
        assert len({identifier(cluster) for cluster in (EKS, EXISTING, REHEARSAL, other)}) == 4

    def test_the_shell_decides_nothing(self, deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
        monkeypatch.setenv("PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", "false")
        provider = deploy(lambda: kubernetes_provider(REHEARSAL)).one("pulumi:providers:kubernetes")
        assert json.loads(provider.inputs["deleteUnreachable"]) is False
        assert json.loads(provider.inputs["enableServerSideApply"]) is True


class TestRules:
    def test_pods_below_restricted_are_refused_by_rules_of_a_fixed_release(self) -> None:
        labels = namespace_labels()
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert labels["pod-security.kubernetes.io/enforce-version"] == POD_SECURITY_VERSION
        assert re.fullmatch(r"v1\.\d+", POD_SECURITY_VERSION)

    def test_core_models_stand_above_best_effort_and_below_the_cluster_s_own(self) -> None:
        assert 0 < PRIORITIES["best-effort"] < PRIORITIES["core"] < 10**9

    def test_the_rule_names_the_taint_that_it_is_given(self) -> None:
        other = {"key": "accelerator", "value": "yes", "effect": "NoExecute"}
        text = json.dumps(policy_spec(other))
        assert all(word in text for word in other.values())
        assert "dedicated" not in text

    def test_the_rule_lets_in_every_listed_agent(self) -> None:
        text = str(policy_spec(TAINT))
        assert [agent.account for agent in NODE_AGENTS if json.dumps(agent.account) not in text] == []
        assert [user for user in DAEMONSET_CONTROLLERS if json.dumps(user) not in text] == []

    def test_the_rule_covers_new_and_changed_pods_everywhere_and_fails_closed(self) -> None:
        spec: Any = policy_spec(TAINT)
        (rule,) = spec["match_constraints"]["resource_rules"]
        assert (rule["operations"], rule["resources"]) == (["CREATE", "UPDATE"], ["pods"])
        # An empty selector leaves nothing out; written out, because the API server would add it.
        assert spec["match_constraints"]["namespace_selector"] == {}
        assert spec["match_constraints"]["object_selector"] == {}
        assert spec["failure_policy"] == "Fail"

    def test_the_refusal_says_what_to_do(self) -> None:
        spec: Any = policy_spec(TAINT)
        message = spec["validations"][0]["message"]
        assert "dedicated=gpu:NoSchedule" in message
        assert "nvidia.com/gpu" in message

    def test_variables_are_used_after_they_are_made(self) -> None:
        spec: Any = policy_spec(TAINT)
        made: set[str] = set()
        for variable in spec["variables"]:
            assert set(re.findall(r"variables\.(\w+)", variable["expression"])) <= made
            made.add(variable["name"])
        used = set(re.findall(r"variables\.(\w+)", str(spec)))
        assert used == made

    def test_an_agent_is_listed_once(self) -> None:
        assert len(set(NODE_AGENTS)) == len(NODE_AGENTS)
        assert NodeAgent(namespace="kube-system", service_account="kube-proxy") in NODE_AGENTS


def test_the_project_file_has_the_default_of_the_settings(root: Path) -> None:
    """Pulumi fills in the default, `vp` reads the file without Pulumi: both must mean the same.

    What may be left out is not declared: Pulumi would ask for it.
    """
    project = yaml.safe_load((root / "Pulumi.yaml").read_text())
    optional = {name for name in SECTIONS if not Settings.model_fields[name].is_required()} - {"namespace"}
    assert set(project["config"]) == set(SECTIONS) - optional
    assert project["config"]["namespace"]["default"] == DEFAULT_NAMESPACE
