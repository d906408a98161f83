"""The graph that each stack's program declares."""

from graphlib import TopologicalSorter
from typing import Any, Final

import pytest

from ops.program_graph import ProgramGraph
from ops.recorder import STACK_TYPE, UNKNOWN
from ops.render import HELM_TYPES, is_patch
from settings import Settings

pytestmark = pytest.mark.graph

PROVIDER: Final = "pulumi:providers:kubernetes"


def _kubernetes(graph: ProgramGraph) -> list[Any]:
    return [node for node in graph.resources if node["type"].startswith("kubernetes:")]


def _objects(graph: ProgramGraph) -> list[Any]:
    """Return what the program writes itself; what is in a Helm release only its chart knows, and a patch is of another's."""
    return [node for node in _kubernetes(graph) if node["type"] not in HELM_TYPES and not is_patch(node)]


def test_it_has_no_cycle_and_nothing_that_is_not_there(graph: ProgramGraph) -> None:
    needs = {
        node["urn"]: {urn for urn in (node["parent"], node["provider"], *node["dependencies"]) if urn}
        for node in graph.resources
    }
    assert [urn for wanted in needs.values() for urn in wanted if urn not in needs] == []
    assert len(list(TopologicalSorter(needs).static_order())) == len(needs)


def test_there_is_one_kubernetes_provider_and_everything_uses_it(graph: ProgramGraph) -> None:
    (provider,) = [node["urn"] for node in graph.resources if node["type"] == PROVIDER]
    assert {node["provider"] for node in _kubernetes(graph)} == {provider}


def test_the_provider_is_told_everything_that_a_shell_could_say(graph: ProgramGraph) -> None:
    (provider,) = [node for node in graph.resources if node["type"] == PROVIDER]
    wanted = {
        "kubeconfig",
        "clusterIdentifier",
        "enableServerSideApply",
        "deleteUnreachable",
        "skipUpdateUnreachable",
    }
    assert wanted <= set(provider["inputs"])


def test_every_object_belongs_to_a_component(graph: ProgramGraph) -> None:
    components = {
        node["urn"] for node in graph.resources if not node["custom"] and node["type"] != STACK_TYPE
    }
    assert [node["urn"] for node in _kubernetes(graph) if node["parent"] not in components] == []


def test_every_object_in_the_models_namespace_waits_for_it(graph: ProgramGraph, settings: Settings) -> None:
    (namespace,) = [
        node["urn"]
        for node in _objects(graph)
        if node["inputs"]["kind"] == "Namespace" and node["inputs"]["metadata"]["name"] == settings.namespace
    ]
    inside = [n for n in _objects(graph) if n["inputs"]["metadata"].get("namespace") == settings.namespace]
    assert inside
    assert [node["urn"] for node in inside if namespace not in node["dependencies"]] == []


def test_every_object_has_an_explicit_name_of_its_own(graph: ProgramGraph) -> None:
    def identity(inputs: Any) -> tuple[str, ...]:  # noqa: ANN401
        metadata = inputs["metadata"]
        return inputs["apiVersion"], inputs["kind"], metadata.get("namespace", ""), metadata["name"]

    names = [identity(node["inputs"]) for node in _objects(graph)]
    assert len(set(names)) == len(names)


def test_a_model_is_waited_for_as_long_as_its_settings_say(graph: ProgramGraph, settings: Settings) -> None:
    """Its first replica, and then every replica of a revision: one after the other, and by what KServe puts on the pods."""
    named = {
        (node["type"].rpartition(":")[2], node["inputs"]["metadata"]["name"]): node
        for node in _kubernetes(graph)
        if "metadata" in node["inputs"]
    }
    services = {name for kind, name in named if kind == "InferenceService"}
    assert services == {model.name for model in settings.enabled_models}
    for model in settings.enabled_models:
        service = named["InferenceService", model.name]
        first = named["InferenceServicePatch", model.name]
        rollout = named["DeploymentPatch", f"{model.name}-predictor"]
        assert service["urn"] in first["dependencies"]
        assert first["urn"] in rollout["dependencies"]
        on_pods = service["inputs"]["spec"]["predictor"]["annotations"]
        assert rollout["inputs"]["metadata"]["annotations"].items() <= on_pods.items()
        for waiting in (first, rollout):
            assert (
                waiting["timeouts"]["create"]
                == waiting["timeouts"]["update"]
                == f"{model.ready_timeout_seconds}s"
            )


def test_the_outputs_are_those_that_other_commands_read(graph: ProgramGraph, settings: Settings) -> None:
    (stack,) = [node["urn"] for node in graph.resources if node["type"] == STACK_TYPE]
    outputs = graph.outputs[stack]
    names = {model.name for model in settings.enabled_models}
    on_eks = settings.cluster.kind == "eks"
    expected = {"cluster", "models", "release"}
    expected |= ({"url"} if settings.public else set()) | ({"prometheus_url"} if on_eks else set())
    assert set(outputs) == expected
    assert set(outputs["models"]) == names
    assert all(
        {"url", "namespace", "replicas", "gpus", "pool"} <= set(model) for model in outputs["models"].values()
    )
    assert {key: set(value) for key, value in outputs["release"].items()} == {
        "models": names,
        "charts": {unit.name for unit in settings.asked.units("managed")},
    }
    # The address is given out when names lead there, and not before; the digest of a build after its push.
    built = any(model.image.is_built for model in settings.enabled_models) and on_eks
    later = {"url", *(("release",) if built else ())}
    assert UNKNOWN not in str({name: value for name, value in outputs.items() if name not in later})


def test_nothing_is_logged(graph: ProgramGraph) -> None:
    assert graph.warnings == ()
