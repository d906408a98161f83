"""Rules that every component keeps. A component that is not in FACTORIES fails the first test."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider

import components
from components.gpu_admission import GpuAdmission, GpuAdmissionArgs
from components.inference_service import Serving
from components.model_namespace import ModelNamespace, ModelNamespaceArgs
from components.model_priorities import ModelPriorities, ModelPrioritiesArgs
from components.model_service import ModelService, ModelServiceArgs
from ops.recorder import STACK_TYPE, Recorder, Registration
from settings import Settings

pytestmark = pytest.mark.contract

Component = type[pulumi.ComponentResource]
Deploy = Callable[[Callable[[], object]], Recorder]
NAME = "thing"


def _serving(settings: Settings) -> Serving:
    """Of the model with an autoscaler, so that every child of a ModelService is made."""
    model = next(model for model in settings.enabled_models if model.autoscaling.kind == "hpa")
    pool = settings.pool_of(model)
    image = settings.image_reference(model)
    zones = settings.zones_of(pool)
    return Serving(model=model, pool=pool, zones=zones, region=settings.cluster.region, image=image)


FACTORIES: dict[Component, Callable[[Settings], object]] = {
    GpuAdmission: lambda s: GpuAdmissionArgs(name="rule", taint=s.gpu_pools[0].node_taints[0]),
    ModelNamespace: lambda _: ModelNamespaceArgs(name="llm"),
    ModelPriorities: lambda _: ModelPrioritiesArgs(prefix="llm"),
    ModelService: lambda s: ModelServiceArgs(namespace="llm", priority_class="high", serving=_serving(s)),
}


def _all_components() -> set[Component]:
    found: set[Component] = set()
    for module in pkgutil.walk_packages(components.__path__, "components."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, pulumi.ComponentResource) and value.__module__ == module.name:
                found.add(value)
    return found


@pytest.fixture(params=list(FACTORIES), ids=lambda component: component.__name__)
def component(request: pytest.FixtureRequest) -> Component:
    return request.param


def _declare(component: Component, settings: Settings, name: str = NAME) -> None:
    provider = Provider("the-provider", kubeconfig="{}")
    cast("Any", component)(name, FACTORIES[component](settings), pulumi.ResourceOptions(providers=[provider]))


def _parts(recorder: Recorder) -> tuple[Registration, list[Registration], Registration]:
    """Return the component, its children and the provider."""
    (provider,) = recorder.of_type("pulumi:providers:kubernetes")
    (top,) = [r for r in recorder.registrations if not r.custom and r.type != STACK_TYPE]
    return top, [r for r in recorder.registrations if r.custom and r is not provider], provider


def test_every_component_is_in_the_table() -> None:
    assert _all_components() == set(FACTORIES)


def test_its_type_is_the_project_an_area_and_the_class(
    component: Component, deploy: Deploy, local: Settings
) -> None:
    top, _, _ = _parts(deploy(lambda: _declare(component, local)))
    assert re.fullmatch(rf"vllm-platform:[a-z]+:{component.__name__}", top.type)


def test_every_child_has_it_as_parent(component: Component, deploy: Deploy, local: Settings) -> None:
    top, children, _ = _parts(deploy(lambda: _declare(component, local)))
    assert children
    assert {child.parent for child in children} == {top.urn}


def test_every_child_uses_the_provider_that_it_was_given(
    component: Component, deploy: Deploy, local: Settings
) -> None:
    _, children, provider = _parts(deploy(lambda: _declare(component, local)))
    assert {child.provider for child in children} == {provider.urn}


def test_its_outputs_are_registered(component: Component, deploy: Deploy, local: Settings) -> None:
    recorder = deploy(lambda: _declare(component, local))
    top, _, _ = _parts(recorder)
    assert recorder.outputs[top.urn]


def test_logical_names_begin_with_its_own(component: Component, deploy: Deploy, local: Settings) -> None:
    _, children, _ = _parts(deploy(lambda: _declare(component, local)))
    assert [child.name for child in children if not child.name.startswith(f"{NAME}-")] == []


def test_every_object_has_an_explicit_name(component: Component, deploy: Deploy, local: Settings) -> None:
    _, children, _ = _parts(deploy(lambda: _declare(component, local)))
    assert [child.urn for child in children if not child.inputs["metadata"].get("name")] == []


def test_the_same_arguments_give_the_same_graph(
    component: Component, deploy: Deploy, local: Settings
) -> None:
    first = deploy(lambda: _declare(component, local)).registrations
    second = deploy(lambda: _declare(component, local)).registrations
    assert sorted(first, key=lambda r: r.urn) == sorted(second, key=lambda r: r.urn)


def test_options_of_the_caller_stay_with_the_component(
    component: Component, deploy: Deploy, local: Settings
) -> None:
    def program() -> None:
        provider = Provider("the-provider", kubeconfig="{}")
        first = ModelNamespace(
            "first", ModelNamespaceArgs(name="first"), pulumi.ResourceOptions(providers=[provider])
        )
        cast("Any", component)(
            NAME,
            FACTORIES[component](local),
            pulumi.ResourceOptions(providers=[provider], depends_on=[first]),
        )

    recorder = deploy(program)
    children = [r for r in recorder.registrations if r.custom and r.name.startswith(f"{NAME}-")]
    assert children
    assert [child.urn for child in children if any("::first" in urn for urn in child.dependencies)] == []


def test_its_arguments_are_frozen_and_by_keyword(component: Component, local: Settings) -> None:
    parameters = list(inspect.signature(component).parameters.values())
    assert [parameter.name for parameter in parameters] == ["name", "args", "opts"]
    arguments = inspect.get_annotations(component.__init__, eval_str=True)["args"]
    assert arguments.__name__ == f"{component.__name__}Args"
    assert is_dataclass(arguments)
    with pytest.raises(FrozenInstanceError):
        setattr(FACTORIES[component](local), fields(arguments)[0].name, "changed")
    assert all(field.kw_only for field in fields(arguments))
