"""Needs, rivals and circles where some add-ons exist already; and folders of charts, as they are kept."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from pydantic import TypeAdapter

from settings import Problem
from settings.addon_catalogue import Unit
from settings.addons import Addons
from settings.charts import LocalCharts
from settings.checks.addons import ONLY_ON_EKS, check
from settings.cluster import ExistingCluster
from settings.database import NoDatabase
from settings.draft import Draft
from settings.edge import NoEdge

pytestmark = pytest.mark.unit

CLUSTER: Final = ExistingCluster(
    kind="existing", kubeconfig="~/.kube/config", context="own", region="us-east-1", zones=("us-east-1a",)
)


def _problems(addons: Addons, *catalogue: Unit) -> list[Problem]:
    draft = Draft(addons=addons, cluster=CLUSTER, edge=NoEdge(kind="off"), database=NoDatabase(kind="off"))
    return check(draft, catalogue)


def test_a_circle_that_something_existing_cuts_is_none() -> None:
    hen = Unit(name="hen", addon="keda", needs={"egg": "itself"})
    egg = Unit(name="egg", addon="loki", needs={"hen": "itself"})
    assert len(_problems(Addons(keda="managed", loki="managed"), hen, egg)) == 1
    assert _problems(Addons(keda="managed", loki="existing"), hen, egg) == []


def test_what_exists_is_not_asked_for_its_needs() -> None:
    baker = Unit(name="baker", addon="keda", needs={"oven": "bread"})
    assert _problems(Addons(keda="existing", loki="off"), baker, Unit(name="oven", addon="loki")) == []


def test_what_exists_is_a_rival_too() -> None:
    one, two = (Unit(name=name, addon=name, owns=("the only bell",)) for name in ("keda", "loki"))
    assert _problems(Addons(keda="managed", loki="existing"), one, two) == [
        Problem(
            "addons.loki",
            "existing",
            "keda owns the only bell already, and a cluster has it once",
            "write loki: off, or keda: off",
        )
    ]


def test_what_only_eks_has_is_refused_for_the_reason_of_each_and_may_exist() -> None:
    for addon, reason in ONLY_ON_EKS.items():
        (problem,) = _problems(Addons.model_validate({addon: "managed"}))
        assert problem.reason == reason
        assert _problems(Addons.model_validate({addon: "existing"})) == []


def test_a_section_that_did_not_parse_is_not_judged() -> None:
    whole = Draft(
        addons=Addons(vault="managed"),
        cluster=CLUSTER,
        edge=NoEdge(kind="off"),
        database=NoDatabase(kind="off"),
    )
    assert check(whole)
    for section in ("addons", "cluster", "edge", "database"):
        assert check(replace(whole, **{section: None})) == [], section


@pytest.mark.parametrize(("given", "kept"), [("./charts/", "./charts"), ("/", "/"), ("../x", "../x")])
def test_a_folder_of_charts_is_kept_without_the_slash_at_its_end(given: str, kept: str) -> None:
    charts = TypeAdapter(LocalCharts).validate_python({"kind": "folder", "path": given})
    assert charts.path == kept
    assert Path(charts.path) == Path(given)
