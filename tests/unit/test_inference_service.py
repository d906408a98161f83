"""The InferenceService and the objects beside it."""

import json
from typing import Any

import pytest

from components.inference_service import Serving, annotations, labels, spec
from components.model_names import model_labels, pod_selector, predictor_url
from components.model_wait import rollout_conditions, template_digest
from components.placement import placement
from components.scaling import disruption_budget, gpu_autoscaler
from settings import (
    CanaryRollout,
    FixedScaling,
    HpaScaling,
    Model,
    PackedSpread,
    Resources,
    RollingRollout,
    Settings,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def serving(local: Settings) -> Serving:
    (model,) = [model for model in local.models if model.name == "qwen-7b-vllm"]
    pool = local.pool_of(model)
    return Serving(
        model=model,
        pool=pool,
        zones=local.zones_of(pool),
        region="us-east-1",
        image=local.image_reference(model),
    )


def _predictor(serving: Serving, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    model = serving.model.model_copy(update=changes)
    changed = Serving(
        model=model, pool=serving.pool, zones=serving.zones, region=serving.region, image=serving.image
    )
    return spec(changed, service_account="account", priority_class="priority")["predictor"]


class TestNames:
    def test_the_url_is_the_predictor_s_service_inside_the_cluster(self) -> None:
        assert predictor_url("qwen", "llm-prod") == "http://qwen-predictor.llm-prod.svc.cluster.local"

    def test_pods_are_selected_by_the_label_of_their_deployment(self) -> None:
        assert pod_selector("qwen") == {"app": "isvc.qwen-predictor"}

    def test_label_values_are_as_short_as_kubernetes_wants(self, serving: Serving) -> None:
        assert all(len(value) <= 63 for value in model_labels(serving.model).values())


class TestMetadata:
    def test_kserve_runs_it_as_a_plain_deployment_without_routes(self, serving: Serving) -> None:
        assert annotations(serving.model)["serving.kserve.io/deploymentMode"] == "Standard"
        assert labels(serving.model)["networking.kserve.io/visibility"] == "cluster-local"

    def test_a_scaler_s_replicas_are_nobody_else_s(self, serving: Serving) -> None:
        model = serving.model.model_copy(update={"autoscaling": HpaScaling(kind="hpa", min=3, max=20)})
        assert annotations(model)["serving.kserve.io/autoscalerClass"] == "external"
        predictor = _predictor(serving, autoscaling=model.autoscaling)
        assert not {"minReplicas", "maxReplicas", "replicas"} & set(predictor)

    def test_a_fixed_number_is_written_by_kserve(self, serving: Serving) -> None:
        model = serving.model.model_copy(update={"autoscaling": FixedScaling(kind="fixed", replicas=2)})
        assert annotations(model)["serving.kserve.io/autoscalerClass"] == "none"
        predictor = _predictor(serving, autoscaling=model.autoscaling)
        assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 2)

    def test_a_longer_wait_restarts_no_pod(self, serving: Serving) -> None:
        """KServe copies annotations and labels of the InferenceService to the pods."""
        longer = serving.model.model_copy(update={"ready_timeout_seconds": 7200})
        assert annotations(longer) == annotations(serving.model)
        assert labels(longer) == labels(serving.model)


class TestPod:
    def test_the_container_has_the_name_that_kserve_would_give_it(self, serving: Serving) -> None:
        (container,) = _predictor(serving)["containers"]
        assert container["name"] == "kserve-container"
        assert "command" not in container

    def test_the_first_port_is_the_api(self, serving: Serving) -> None:
        ports = _predictor(serving)["containers"][0]["ports"]
        assert [(p["containerPort"], p["protocol"]) for p in ports] == [(8000, "TCP"), (8001, "TCP")]

    def test_requests_and_limits_are_complete_and_canonical(self, serving: Serving) -> None:
        resources = Resources.model_validate(
            {"requests": {"cpu": "4000m", "memory": "16384Mi"}, "limits": {"cpu": "8", "memory": "32Gi"}}
        )
        assert _predictor(serving, resources=resources)["containers"][0]["resources"] == {
            "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
            "limits": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"},
        }

    def test_it_gets_no_token_and_no_service_variables(self, serving: Serving) -> None:
        predictor = _predictor(serving)
        assert predictor["automountServiceAccountToken"] is False
        assert predictor["enableServiceLinks"] is False
        assert predictor["serviceAccountName"] == "account"

    def test_it_may_take_longer_to_end_than_wait_and_drain_together(self, serving: Serving) -> None:
        lifecycle = serving.model.lifecycle
        grace = _predictor(serving)["terminationGracePeriodSeconds"]
        assert grace > lifecycle.pre_stop_seconds + lifecycle.drain_seconds

    def test_it_runs_as_user_1001_with_a_read_only_root(self, serving: Serving) -> None:
        predictor = _predictor(serving)
        assert predictor["securityContext"]["runAsUser"] == 1001
        assert predictor["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True

    def test_the_rollout_is_the_settings_own(self, serving: Serving) -> None:
        rollout = RollingRollout(kind="rolling", max_surge=0, max_unavailable=1)
        assert _predictor(serving, rollout=rollout)["deploymentStrategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        }

    def test_beside_a_canary_replicas_are_replaced_as_the_settings_say(self, serving: Serving) -> None:
        rollout = CanaryRollout(kind="canary", steps=(5, 100), max_surge=0, max_unavailable=1)
        strategy = _predictor(serving, rollout=rollout)["deploymentStrategy"]["rollingUpdate"]
        assert strategy == {"maxSurge": 0, "maxUnavailable": 1}


class TestPlacement:
    def _of(self, serving: Serving, model: Model | None = None, zones: tuple[str, ...] = ("a", "b")) -> Any:  # noqa: ANN401
        return placement(model or serving.model, serving.pool, zones)

    def test_labels_and_tolerations_are_the_pool_s(self, serving: Serving) -> None:
        placed = self._of(serving)
        assert placed["nodeSelector"] == serving.pool.node_selector
        assert placed["tolerations"] == serving.pool.tolerations

    def test_zones_and_nodes_are_wishes(self, serving: Serving) -> None:
        """A rule would let an update of a full pool stand still."""
        zone, node = self._of(serving)["topologySpreadConstraints"]
        assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == (
            "topology.kubernetes.io/zone",
            "ScheduleAnyway",
        )
        assert (node["topologyKey"], node["whenUnsatisfiable"]) == (
            "kubernetes.io/hostname",
            "ScheduleAnyway",
        )

    def test_a_zone_that_is_down_holds_nothing_back(self, serving: Serving) -> None:
        zone, _ = self._of(serving)["topologySpreadConstraints"]
        assert zone["nodeTaintsPolicy"] == "Honor"
        assert "minDomains" not in zone

    def test_old_pods_of_an_update_do_not_count(self, serving: Serving) -> None:
        zone, _ = self._of(serving)["topologySpreadConstraints"]
        assert zone["matchLabelKeys"] == ["pod-template-hash"]

    def test_a_pool_of_one_zone_spreads_over_nodes_only(self, serving: Serving) -> None:
        constraints = self._of(serving, zones=("a",))["topologySpreadConstraints"]
        assert [constraint["topologyKey"] for constraint in constraints] == ["kubernetes.io/hostname"]

    def test_packed_replicas_wish_for_one_node_and_nothing_else(self, serving: Serving) -> None:
        model = serving.model.model_copy(update={"spread": PackedSpread(kind="pack")})
        placed = self._of(serving, model)
        assert "topologySpreadConstraints" not in placed
        (wish,) = placed["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert wish["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
        assert wish["podAffinityTerm"]["labelSelector"] == {"matchLabels": pod_selector(model.name)}


class TestWait:
    """What `pulumi up` waits for: never the InferenceService itself, whose observed generation is another object's."""

    def test_nothing_waits_for_the_object_whose_generation_it_is_not(self, serving: Serving) -> None:
        assert annotations(serving.model)["pulumi.com/skipAwait"] == "true"

    def test_a_revision_is_whatever_makes_other_pods(self, serving: Serving) -> None:
        def digest(**changes: Any) -> str:  # noqa: ANN401
            model = serving.model.model_copy(update=changes)
            metadata = {"labels": labels(model), "annotations": annotations(model)}
            return template_digest(metadata, {"predictor": _predictor(serving, **changes)})

        model = serving.model
        assert digest() == digest()
        assert digest(engine=model.engine.model_copy(update={"max_num_seqs": 3})) != digest()
        assert digest(image=model.image.model_copy(update={"tag": "v9"})) != digest()
        assert digest(rollout=RollingRollout(kind="rolling", max_surge=2)) == digest()
        fixed = FixedScaling(kind="fixed", replicas=2)
        more = FixedScaling(kind="fixed", replicas=3)
        assert digest(autoscaling=fixed) == digest(autoscaling=more)

    def test_all_replicas_of_the_revision_are_waited_for(self) -> None:
        found = json.loads(rollout_conditions("abc"))
        assert found == [
            "jsonpath={.spec.template.metadata.annotations['vllm-platform.io/template']}=abc",
            'jsonpath={.status.conditions[?(@.type=="Progressing")].reason}=NewReplicaSetAvailable',
            "jsonpath={[?@.observedGeneration && @.updatedReplicas == @.replicas].observedGeneration}",
        ]


class TestScaling:
    def test_a_budget_lets_one_replica_go_and_any_that_is_not_ready(self) -> None:
        budget = disruption_budget("qwen")
        assert budget.get("max_unavailable") == 1
        assert "min_available" not in budget
        assert budget.get("unhealthy_pod_eviction_policy") == "AlwaysAllow"

    def test_the_autoscaler_s_target_is_the_deployment(self) -> None:
        autoscaler = gpu_autoscaler("qwen", HpaScaling(kind="hpa", min=3, max=20, gpu_utilization=65))
        assert autoscaler["scale_target_ref"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "qwen-predictor",
        }
        assert (autoscaler.get("min_replicas"), autoscaler["max_replicas"]) == (3, 20)

    def test_the_autoscaler_averages_gpu_utilisation_over_pods(self) -> None:
        autoscaler: Any = gpu_autoscaler("qwen", HpaScaling(kind="hpa", min=3, max=20, gpu_utilization=65))
        (metric,) = autoscaler["metrics"]
        assert metric["pods"] == {
            "metric": {"name": "DCGM_FI_DEV_GPU_UTIL"},
            "target": {"type": "AverageValue", "average_value": "65"},
        }
