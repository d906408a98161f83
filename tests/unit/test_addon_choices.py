"""What an add-on is where the stack says nothing, on each kind of cluster."""

from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from settings import load_stack_file
from settings.addon_catalogue import ADDON_NAMES, CATALOGUE
from settings.addon_choices import ALWAYS_ON_EKS, Asked, choices_of
from settings.addons import CHOICES, Addons, Choice
from settings.cluster import Cluster, EksCluster
from settings.database import Database, NoDatabase
from settings.edge import CloudFrontEdge, NoEdge
from settings.models import Model
from settings.pools import Pool

pytestmark = pytest.mark.unit

GOOD: Final = load_stack_file(Path(__file__).resolve().parents[1] / "data" / "broken" / "base.yaml")
PLACE: Final = {"region": "us-east-1", "zones": ["us-east-1a", "us-east-1b"]}
CLUSTERS: Final[dict[str, Cluster]] = {
    "eks": GOOD.cluster,
    "existing": TypeAdapter[Cluster](Cluster).validate_python(
        {"kind": "existing", "kubeconfig": "~/.kube/config", "context": "own", **PLACE}
    ),
    "rehearsal": TypeAdapter[Cluster](Cluster).validate_python({"kind": "rehearsal", "name": "own", **PLACE}),
}
BUCKET: Final = {"kind": "created", "name": "llm-backups"}
NO_BACKUPS: Final = {"kind": "off"}
BACKUPS: Final = {"kind": "s3", "bucket": BUCKET}
BY_DEMAND: Final = {
    "dcgm_exporter",
    "nvidia_device_plugin",
    "prometheus_adapter",
    "cloudnative_pg",
    "load_balancer_controller",
    "karpenter",
}
ONLY_BY_WORD: Final = {"kserve_runtimes", "kong", "vault", "harbor"}


def _pool(kind: str, provisioner: str = "managed", node_image: str = "al2023") -> Pool:
    return TypeAdapter[Pool](Pool).validate_python(
        {
            "kind": kind,
            "name": "some",
            "instance_type": "g5.2xlarge" if kind == "gpu" else "c6i.2xlarge",
            "min": 1,
            "max": 1,
            "provisioner": {"kind": provisioner},
            "capacity": {"kind": "on-demand"},
            "node_image": node_image,
        }
    )


def _postgres(backups: dict[str, Any]) -> Database:
    return TypeAdapter[Database](Database).validate_python({"kind": "postgres", "backups": backups})


def _asked(cluster: str = "eks", **given: Any) -> Asked:  # noqa: ANN401 - any field of Asked
    """A stack that asks for nothing but what is given."""
    nothing: dict[str, Any] = {
        "addons": Addons(),
        "cluster": CLUSTERS[cluster],
        "pools": (),
        "models": (),
        "edge": NoEdge(kind="off"),
        "database": NoDatabase(kind="off"),
    }
    return Asked(**{**nothing, **given})


def _model(scaler: str) -> Model:
    return next(model for model in GOOD.models if model.autoscaling.kind == scaler)


def _managed(asked: Asked) -> set[str]:
    return {addon for addon, choice in choices_of(asked).items() if choice == "managed"}


def test_a_new_cluster_of_nothing_has_what_is_always_on_and_no_more() -> None:
    choices = choices_of(_asked())
    assert {addon for addon, choice in choices.items() if choice == "managed"} == ALWAYS_ON_EKS
    assert {choice for addon, choice in choices.items() if addon not in ALWAYS_ON_EKS} == {"off"}


@pytest.mark.parametrize("cluster", ["existing", "rehearsal"])
def test_of_another_cluster_nothing_is_known_but_that_it_serves_models(cluster: str) -> None:
    choices = choices_of(_asked(cluster))
    assert choices.pop("kserve") == "existing"
    assert set(choices.values()) == {"off"}


@pytest.mark.parametrize("cluster", ["existing", "rehearsal"])
def test_what_a_stack_asks_for_switches_nothing_on_where_the_cluster_is_not_ours(cluster: str) -> None:
    """It is refused instead: on such a cluster a stack says itself who installs what."""
    asked = _asked(
        cluster,
        pools=(_pool("gpu", "karpenter"),),
        models=GOOD.models,
        edge=GOOD.edge,
        database=_postgres(BACKUPS),
    )
    assert choices_of(asked) == choices_of(_asked(cluster))


@pytest.mark.parametrize(
    ("addon", "given"),
    [
        ("dcgm_exporter", {"pools": (_pool("gpu", node_image="bottlerocket"),)}),
        ("prometheus_adapter", {"models": (_model("hpa"),)}),
        ("cloudnative_pg", {"database": _postgres(NO_BACKUPS)}),
        ("load_balancer_controller", {"edge": GOOD.edge}),
        ("karpenter", {"pools": (_pool("cpu", "karpenter"),)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_stack_asks_for_comes_alone_on_a_new_cluster(addon: str, given: dict[str, Any]) -> None:
    assert _managed(_asked(**given)) == ALWAYS_ON_EKS | {addon}


def test_gpu_nodes_of_al2023_have_the_device_plugin_installed_and_bottlerocket_brings_its_own() -> None:
    al2023, bottlerocket = _pool("gpu"), _pool("gpu", node_image="bottlerocket")
    assert _asked(pools=(bottlerocket, al2023)).choice("nvidia_device_plugin") == "managed"
    assert _asked(pools=(bottlerocket,)).choice("nvidia_device_plugin") == "off"
    assert _asked(pools=(_pool("cpu"),)).choice("nvidia_device_plugin") == "off"


def test_pools_without_gpus_are_measured_by_nobody() -> None:
    assert _managed(_asked(pools=(_pool("cpu"),))) == ALWAYS_ON_EKS


def test_models_of_a_fixed_number_need_no_adapter() -> None:
    assert _managed(_asked(models=(_model("fixed"),))) == ALWAYS_ON_EKS


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("word", CHOICES)
def test_the_stacks_own_word_wins_over_every_default(cluster: str, word: Choice) -> None:
    said = Addons.model_validate(dict.fromkeys(ADDON_NAMES, word))
    asked = _asked(cluster, addons=said, pools=GOOD.pools, models=GOOD.models, edge=GOOD.edge)
    assert set(choices_of(asked).values()) == {word}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_none_means_the_default_and_touches_no_other_add_on(cluster: str) -> None:
    defaults = choices_of(_asked(cluster))
    for addon in ADDON_NAMES:
        assert choices_of(_asked(cluster, addons=Addons.model_validate({addon: None}))) == defaults
        for word in CHOICES:
            said = choices_of(_asked(cluster, addons=Addons.model_validate({addon: word})))
            assert said == {**defaults, addon: word}


def test_the_good_stack_has_what_its_pools_models_and_edge_ask_for() -> None:
    assert isinstance(GOOD.cluster, EksCluster)
    assert isinstance(GOOD.edge, CloudFrontEdge)
    asked = _asked(pools=GOOD.pools, models=GOOD.models, edge=GOOD.edge, database=GOOD.database)
    assert _managed(asked) == ALWAYS_ON_EKS | (BY_DEMAND - {"cloudnative_pg"})


def test_every_add_on_is_always_on_or_by_demand_or_by_word() -> None:
    """A new one has to be put into one of the three; a name that is misspelt in one of them is none."""
    assert ALWAYS_ON_EKS | BY_DEMAND | ONLY_BY_WORD == set(ADDON_NAMES) == set(Addons.model_fields)
    assert len(ALWAYS_ON_EKS) + len(BY_DEMAND) + len(ONLY_BY_WORD) == len(ADDON_NAMES)


def test_everything_asked_for_at_once_leaves_only_what_needs_a_word() -> None:
    asked = _asked(
        pools=(_pool("gpu", "karpenter"),),
        models=GOOD.models,
        edge=GOOD.edge,
        database=_postgres(BACKUPS),
    )
    assert set(ADDON_NAMES) - _managed(asked) == ONLY_BY_WORD


def test_a_unit_is_there_with_its_add_ons_word_in_the_catalogues_order() -> None:
    asked = _asked(addons=Addons(keda="existing", istio="off"))
    of_all = [unit.name for unit in asked.units(*CHOICES)]
    assert of_all == [unit.name for unit in CATALOGUE if unit.name != "cloudnative-pg-backups"]
    assert [unit.name for unit in asked.units("existing")] == ["keda"]
    assert {"istio-base", "istiod", "istio-cni", "ztunnel"} <= {unit.name for unit in asked.units("off")}
    assert {unit.addon for unit in asked.units("managed")} == ALWAYS_ON_EKS - {"keda", "istio"}
    assert asked.units() == ()


@pytest.mark.parametrize(
    ("database", "names"),
    [
        (_postgres(BACKUPS), ["cloudnative-pg", "cloudnative-pg-backups"]),
        (_postgres(NO_BACKUPS), ["cloudnative-pg"]),
        (NoDatabase(kind="off"), ["cloudnative-pg"]),
    ],
    ids=["backups", "no backups", "no database"],
)
def test_the_chart_of_backups_is_there_only_where_a_database_has_some(
    database: Database, names: list[str]
) -> None:
    asked = _asked(addons=Addons(cloudnative_pg="managed"), database=database)
    assert [unit.name for unit in asked.units("managed") if unit.addon == "cloudnative_pg"] == names
