"""Who may land on GPU nodes: the agents that every node needs, and no other pod of any add-on.

Each add-on is declared as the program declares it; its chart's values are the published ones with ours over them, so a default
of a chart counts as much as what is written here.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
import yaml
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.addons.table import UNITS
from components.aws.karpenter import Karpenter, KarpenterDefinitions
from components.aws.load_balancer_controller import LoadBalancerController
from components.database import Database
from ops.recorder import Recorder, Registration
from settings import Settings, load_stack_file
from settings.addon_catalogue import CATALOGUE
from tests.charts import GPU_TAINT, merged, published_values, tolerating
from tests.contract import addon_factories, edge_factories, pool_factories

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
CHART_TYPES: Final = ("kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart")

AGENTS: Final[Mapping[str, list[str]]] = {
    "nvidia-device-plugin": ["tolerations"],
    "dcgm-exporter": ["tolerations"],
    # The operator, the servers and what counts objects are not on this list: one part of the chart is an agent.
    "prometheus": ["prometheus-node-exporter.tolerations"],
    "otel-agent": ["tolerations"],
    "istio-cni": ["tolerations"],
    "ztunnel": ["tolerations"],
}
"""Units with a DaemonSet that GPU nodes need, and where in the chart's values it is let in."""

OWN: Final[Mapping[str, Any]] = {
    "karpenter-definitions": (KarpenterDefinitions, pool_factories.FACTORIES),
    "karpenter": (Karpenter, pool_factories.FACTORIES),
    "load-balancer-controller": (LoadBalancerController, edge_factories.FACTORIES),
    "database": (Database, addon_factories.FACTORIES),
}
"""What is installed with the cluster's services, and the database, which stands on an add-on."""

FOLDERS: Final[Mapping[str, str]] = {"base": "istio-base", "cni": "istio-cni"}
"""Of charts whose folder is not called as they are."""
NOT_AT_HAND: Final = frozenset(
    {
        "gateway-crds-helm",
        "karpenter-crd",
        "kserve-crd",
        "metrics-server",
        "plugin-barman-cloud",
        "prometheus-operator-crds",
    }
)
"""Charts whose own values are not at hand, or that have none: of these only ours are seen."""
DEFAULTS: Final = "_internal_defaults_do_not_set"
"""Where Istio's charts keep theirs."""


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    """The stack that has everything."""
    return load_stack_file(root / "Pulumi.prod.yaml")


def _declare(unit: str, settings: Settings) -> None:
    providers: list[pulumi.ProviderResource] = [
        KubernetesProvider("k8s", kubeconfig="{}"),
        AwsProvider("aws", region="us-east-1"),
    ]
    options = pulumi.ResourceOptions(providers=providers)
    if unit in OWN:
        component, factories = OWN[unit]
        component(unit, factories[component](settings), options)
        return
    row = UNITS[unit]
    # Agents of GPU nodes are told the pools; the device plugin those alone whose image has none.
    told = {"pools": settings.gpu_pools} if "pools" in row.own(_site(settings)) else {}
    row.component(unit, addon_factories.addon_args(settings, unit, row, **told), options)


def _site(settings: Settings) -> Any:  # noqa: ANN401 - only asked for its arguments
    return addon_factories.Site(settings=settings)


def _installed(root: Path, made: Registration) -> Mapping[str, Any]:
    """Return what decides about pods: the values that a chart's templates see, or an object as it is."""
    if made.type not in CHART_TYPES:
        return made.inputs
    values = made.inputs["values"]
    name: str = made.inputs["chart"].rpartition("/")[2]
    if name in NOT_AT_HAND:
        return values
    published = published_values(root, FOLDERS.get(name, name))
    return merged(values, published.get(DEFAULTS, published))


def _open(values: object, path: str = "") -> Iterator[str]:
    """Yield each list of tolerations that lets a pod onto GPU nodes.

    Whatever the chart calls it (`defaultTolerations`), and also where it takes the list as a text.
    """
    if isinstance(values, Mapping):
        for key, value in cast("Mapping[str, Any]", values).items():
            here = f"{path}.{key}" if path else key
            if key.lower().endswith("tolerations"):
                listed = yaml.safe_load(value) if isinstance(value, str) else value
                if tolerating({"tolerations": listed or []}):
                    yield here
            else:
                yield from _open(value, here)
    elif isinstance(values, list):
        for index, value in enumerate(cast("list[object]", values)):
            yield from _open(value, f"{path}[{index}]")


def _of(unit: str, deploy: Deploy, settings: Settings, root: Path) -> list[str]:
    made = [
        registration
        for registration in deploy(lambda: _declare(unit, settings)).registrations
        if registration.type.startswith("kubernetes:")
    ]
    assert made
    return [path for registration in made for path in _open(_installed(root, registration))]


def test_the_taint_that_is_looked_for_is_the_one_of_every_gpu_pool(settings: Settings) -> None:
    assert settings.gpu_pools
    assert [pool.node_taints for pool in settings.gpu_pools] == [[GPU_TAINT]] * len(settings.gpu_pools)


def test_every_unit_of_the_catalogue_is_looked_at() -> None:
    assert {*UNITS, *OWN} - {"database"} == {unit.name for unit in CATALOGUE}
    assert set(AGENTS) <= set(UNITS)


@pytest.mark.parametrize("unit", AGENTS)
def test_an_agent_of_nodes_runs_on_gpu_nodes_too(
    unit: str, deploy: Deploy, settings: Settings, root: Path
) -> None:
    assert _of(unit, deploy, settings, root) == AGENTS[unit]


@pytest.mark.parametrize("unit", sorted({*UNITS, *OWN} - set(AGENTS)))
def test_nothing_else_lands_there(unit: str, deploy: Deploy, settings: Settings, root: Path) -> None:
    assert _of(unit, deploy, settings, root) == []


@pytest.mark.parametrize(
    "opens",
    [
        {"tolerations": [{"operator": "Exists"}]},
        {"tolerations": [{"key": "other", "operator": "Exists"}, {"operator": "Exists", "effect": ""}]},
        {"tolerations": [{"key": "dedicated", "operator": "Exists"}]},
        {"tolerations": [{"key": "dedicated", "value": "gpu"}]},
        {"tolerations": "- operator: Exists\n  effect: NoSchedule\n"},
        {"defaultTolerations": [{"operator": "Exists"}]},
        {"parts": [{"tolerations": [{"operator": "Exists"}]}]},
    ],
)
def test_every_way_to_be_let_in_is_seen(opens: Mapping[str, Any]) -> None:
    assert len(list(_open({"pod": opens}))) == 1


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"operator": "Exists", "effect": "NoExecute"},
        {"key": "dedicated", "operator": "Equal", "value": "cpu"},
        {"key": "dedicated", "operator": "Exists", "effect": "NoExecute"},
    ],
)
def test_a_toleration_of_something_else_is_no_way_in(toleration: Mapping[str, Any]) -> None:
    assert list(_open({"tolerations": [toleration]})) == []
