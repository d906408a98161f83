"""Rules that every component keeps. A component that is not in FACTORIES fails the first test."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
from pulumi_aws import Provider as AwsProvider
from pulumi_docker_build import Provider as BuildProvider
from pulumi_kubernetes import Provider as KubernetesProvider

import components
from components.addons.pattern import Addon
from components.dashboards.library import Dashboards, DashboardsArgs, dashboards_of
from components.gpu_admission import GpuAdmission, GpuAdmissionArgs
from components.image_prepull import ImagePrepull, ImagePrepullArgs, PoolImages
from components.inference_service import Serving
from components.model_monitor import ModelMonitor, ModelMonitorArgs
from components.model_namespace import ModelNamespace, ModelNamespaceArgs
from components.model_priorities import ModelPriorities, ModelPrioritiesArgs
from components.model_service import ModelService, ModelServiceArgs
from components.registry_access import RegistryLogin
from components.telemetry.model_rules import ModelRules, ModelRulesArgs, rules_of
from components.vllm_image import VllmImage, VllmImageArgs
from ops.recorder import PROVIDER_PREFIX, STACK_TYPE, Recorder, Registration
from settings import Settings, load_stack_file
from settings.image_build import image_plan

pytestmark = pytest.mark.contract

Component = type[pulumi.ComponentResource]
Deploy = Callable[[Callable[[], object]], Recorder]
NAME = "thing"
RENDERED_CHART = "kubernetes:helm.sh/v4:Chart"


def _serving(settings: Settings) -> Serving:
    """Of the model with an autoscaler, so that every child of a ModelService is made."""
    model = next(model for model in settings.enabled_models if model.autoscaling.kind == "hpa")
    pool = settings.pool_of(model)
    image = settings.image_reference(model)
    zones = settings.zones_of(pool)
    return Serving(model=model, pool=pool, zones=zones, region=settings.cluster.region, image=image)


_FACTORIES: dict[Component, Callable[[Settings], object]] = {
    ImagePrepull: lambda s: ImagePrepullArgs(
        models_namespace="llm",
        priority_class="low",
        pools=[
            PoolImages(pool=pool, images=["registry.invalid/a:1", "registry.invalid/b:1"], wait_seconds=600)
            for pool in s.gpu_pools
        ],
        closed=True,
    ),
    GpuAdmission: lambda s: GpuAdmissionArgs(name="rule", taint=s.gpu_pools[0].node_taints[0]),
    ModelNamespace: lambda _: ModelNamespaceArgs(name="llm"),
    ModelPriorities: lambda _: ModelPrioritiesArgs(prefix="llm"),
    VllmImage: lambda s: VllmImageArgs(
        plan=image_plan(s, s.models[0]),
        login=RegistryLogin(address="registry.internal", username="robot", password=NAME),
        secrets={"hub_token": "not-shown"},
    ),
    ModelMonitor: lambda _: ModelMonitorArgs(namespace="llm", gateway=True),
    Dashboards: lambda s: DashboardsArgs(namespace="llm", prefix="llm", dashboards=dashboards_of(s)),
    ModelRules: lambda s: ModelRulesArgs(namespace="llm", rules=rules_of(s)),
    ModelService: lambda s: ModelServiceArgs(
        namespace="llm", priority_class="high", serving=_serving(s), prometheus="http://prometheus:9090"
    ),
}


def _merged() -> dict[Component, Callable[[Settings], object]]:
    """Add those of one area, which lie in a module of their own, with plain texts in the place of Outputs."""
    found = dict(_FACTORIES)
    for file in sorted(Path(__file__).parent.glob("*_factories.py")):
        found |= importlib.import_module(f"tests.contract.{file.stem}").FACTORIES
    return found


FACTORIES = _merged()


def _all_components() -> set[Component]:
    found: set[Component] = set()
    for module in pkgutil.walk_packages(components.__path__, "components."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, pulumi.ComponentResource) and value.__module__ == module.name:
                found.add(value)
    # What all add-ons have in common is none by itself.
    return found - {Addon}


@pytest.fixture(params=list(FACTORIES), ids=lambda component: component.__name__)
def component(request: pytest.FixtureRequest) -> Component:
    return request.param


@pytest.fixture(scope="session")
def stack(root: Path) -> Settings:
    """The stack that has everything."""
    return load_stack_file(root / "Pulumi.prod.yaml")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A component as it was recorded: itself, the components inside it, all of their resources, the providers."""

    top: Registration
    inner: list[Registration]
    resources: list[Registration]
    providers: dict[str, Registration]


def _declare(component: Component, settings: Settings, depends_on: pulumi.Resource | None = None) -> None:
    kubernetes = KubernetesProvider("of-kubernetes", kubeconfig="{}")
    providers: list[pulumi.ProviderResource] = [
        kubernetes,
        AwsProvider("of-aws", region="us-east-1"),
        BuildProvider("of-builds"),
    ]
    options = pulumi.ResourceOptions(providers=providers, depends_on=depends_on)
    cast("Any", component)(NAME, FACTORIES[component](settings), options)


def _is_resource(registration: Registration) -> bool:
    """Tell whether a provider makes it. A chart that the provider renders is a component, but not one of ours."""
    return registration.custom or registration.type == RENDERED_CHART


def _provider_of(registration: Registration) -> str:
    return registration.provider or registration.providers["kubernetes"]


def _parts(recorder: Recorder) -> Parts:
    mine = [r for r in recorder.registrations if r.type != STACK_TYPE and r.name.startswith(NAME)]
    (top,) = [r for r in mine if r.name == NAME]
    providers = [r for r in recorder.registrations if r.type.startswith(PROVIDER_PREFIX)]
    return Parts(
        top=top,
        inner=[r for r in mine if not _is_resource(r) and r is not top],
        resources=[r for r in mine if _is_resource(r)],
        providers={provider.type.removeprefix(PROVIDER_PREFIX): provider for provider in providers},
    )


def test_every_component_is_in_the_table() -> None:
    assert _all_components() == set(FACTORIES)


def test_its_type_is_the_project_an_area_and_the_class(
    component: Component, deploy: Deploy, stack: Settings
) -> None:
    parts = _parts(deploy(lambda: _declare(component, stack)))
    assert re.fullmatch(rf"vllm-platform:[a-z]+:{component.__name__}", parts.top.type)


def test_everything_that_it_makes_is_below_it(component: Component, deploy: Deploy, stack: Settings) -> None:
    recorder = deploy(lambda: _declare(component, stack))
    parts = _parts(recorder)
    assert parts.resources
    below = {parts.top.urn, *(inner.urn for inner in parts.inner)}
    assert [child.urn for child in (*parts.resources, *parts.inner) if child.parent not in below] == []
    # Nothing goes by another name, where the rules above and below would not see it.
    known = {parts.top.urn, *below, *(child.urn for child in parts.resources)}
    others = {r.urn for r in recorder.registrations if r.type != STACK_TYPE} - known
    assert others == {provider.urn for provider in parts.providers.values()}


def test_everything_uses_the_provider_that_it_was_given(
    component: Component, deploy: Deploy, stack: Settings
) -> None:
    parts = _parts(deploy(lambda: _declare(component, stack)))
    wrong = [
        child.urn
        for child in parts.resources
        if _provider_of(child) != parts.providers[child.type.partition(":")[0]].urn
    ]
    assert wrong == []


def test_its_outputs_are_registered(component: Component, deploy: Deploy, stack: Settings) -> None:
    recorder = deploy(lambda: _declare(component, stack))
    parts = _parts(recorder)
    assert [
        c.urn
        for c in (parts.top, *parts.inner)
        if c.type != RENDERED_CHART and not recorder.outputs.get(c.urn)
    ] == []


def test_logical_names_begin_with_its_own(component: Component, deploy: Deploy, stack: Settings) -> None:
    parts = _parts(deploy(lambda: _declare(component, stack)))
    children = (*parts.resources, *parts.inner)
    assert [child.name for child in children if not child.name.startswith(f"{NAME}-")] == []


def test_every_object_has_an_explicit_name(component: Component, deploy: Deploy, stack: Settings) -> None:
    parts = _parts(deploy(lambda: _declare(component, stack)))
    objects = [r for r in parts.resources if r.type.startswith("kubernetes:")]
    unnamed = [r.urn for r in objects if not (r.inputs.get("metadata") or r.inputs).get("name")]
    assert unnamed == []


def test_the_same_arguments_give_the_same_graph(
    component: Component, deploy: Deploy, stack: Settings
) -> None:
    first = deploy(lambda: _declare(component, stack)).registrations
    second = deploy(lambda: _declare(component, stack)).registrations
    assert sorted(first, key=lambda r: r.urn) == sorted(second, key=lambda r: r.urn)


def test_options_of_the_caller_stay_with_the_component(
    component: Component, deploy: Deploy, stack: Settings
) -> None:
    def program() -> None:
        provider = KubernetesProvider("the-provider", kubeconfig="{}")
        options = pulumi.ResourceOptions(providers=[provider])
        first = ModelNamespace("first", ModelNamespaceArgs(name="first"), options)
        _declare(component, stack, depends_on=first)

    parts = _parts(deploy(program))
    assert parts.resources
    assert [r.urn for r in parts.resources if any("::first" in urn for urn in r.dependencies)] == []


def test_its_arguments_are_frozen_and_by_keyword(component: Component, stack: Settings) -> None:
    parameters = list(inspect.signature(component).parameters.values())
    assert [parameter.name for parameter in parameters] == ["name", "args", "opts"]
    arguments = inspect.get_annotations(component.__init__, eval_str=True)["args"]
    assert arguments.__name__ == f"{component.__name__}Args"
    assert is_dataclass(arguments)
    with pytest.raises(FrozenInstanceError):
        setattr(FACTORIES[component](stack), fields(arguments)[0].name, "changed")
    assert all(field.kw_only for field in fields(arguments))
