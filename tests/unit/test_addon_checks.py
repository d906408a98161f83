"""Needs, rivals and circles, in catalogues made for it: each is refused with the names of both."""

from pathlib import Path

import pytest

from settings import load_stack_file
from settings.addon_catalogue import Unit
from settings.addons import Addons
from settings.checks.addons import check
from settings.cluster import EksCluster
from settings.database import NoDatabase
from settings.draft import Draft
from settings.edge import NoEdge
from settings.problems import Problem

pytestmark = pytest.mark.unit

# Any add-ons: only what the made catalogue says of them counts.
KEDA = Unit(name="keda", addon="keda")
LOKI = Unit(name="loki", addon="loki")
TEMPO = Unit(name="tempo", addon="tempo")


@pytest.fixture(scope="module")
def cluster(root: Path) -> EksCluster:
    found = load_stack_file(root / "Pulumi.prod.yaml").cluster
    assert isinstance(found, EksCluster)
    return found


def _check(cluster: EksCluster, *catalogue: Unit, **words: str) -> list[Problem]:
    draft = Draft(
        cluster=cluster,
        addons=Addons.model_validate(words),
        edge=NoEdge(kind="off"),
        database=NoDatabase(kind="off"),
    )
    return check(draft, tuple(catalogue))


def _needs(unit: Unit, *others: Unit, how: str = "needs") -> Unit:
    given = {
        "needs": unit.needs,
        "uses": unit.uses,
        how: {other.name: f"{other.name}'s part" for other in others},
    }
    return Unit(name=unit.name, addon=unit.addon, needs=given["needs"], uses=given["uses"])


def test_what_is_whole_is_not_refused(cluster: EksCluster) -> None:
    assert _check(cluster, _needs(KEDA, LOKI), LOKI, _needs(TEMPO, KEDA)) == []


@pytest.mark.parametrize("how", ["needs", "uses"])
def test_a_need_that_is_off_is_named_with_its_purpose(cluster: EksCluster, how: str) -> None:
    (problem,) = _check(cluster, _needs(KEDA, LOKI, how=how), LOKI, loki="off")
    assert problem.path == "addons.keda"
    assert "needs loki for loki's part, and that is off" in problem.reason
    assert problem.fix == "write loki: managed, or keda: off"


def test_each_need_is_said_once_and_all_of_them(cluster: EksCluster) -> None:
    twice = Unit(name="keda-too", addon="keda", needs={"loki": "it"})
    problems = _check(
        cluster, _needs(KEDA, LOKI, TEMPO), twice, LOKI, TEMPO, loki="off", tempo="off", keda="managed"
    )
    assert [problem.path for problem in problems] == ["addons.keda", "addons.keda"]
    assert [problem.reason.split()[1] for problem in problems] == ["loki", "tempo"]


def test_what_somebody_else_installed_is_not_asked_for_its_needs(cluster: EksCluster) -> None:
    problems = _check(cluster, _needs(KEDA, LOKI), LOKI, keda="off", loki="off")
    assert problems == []


def test_two_owners_of_one_thing_are_named(cluster: EksCluster) -> None:
    owners = [
        Unit(name=u.name, addon=u.addon, owns=("the API external.metrics.k8s.io",)) for u in (KEDA, LOKI)
    ]
    (problem,) = _check(cluster, *owners)
    assert problem.path == "addons.loki"
    assert "keda owns the API external.metrics.k8s.io already" in problem.reason
    assert problem.fix == "write loki: off, or keda: off"


def test_three_owners_are_two_problems(cluster: EksCluster) -> None:
    owners = [Unit(name=u.name, addon=u.addon, owns=("it",)) for u in (KEDA, LOKI, TEMPO)]
    assert [problem.path for problem in _check(cluster, *owners)] == ["addons.loki", "addons.tempo"]


def test_charts_of_one_add_on_are_no_rivals(cluster: EksCluster) -> None:
    parts = [Unit(name=name, addon="keda", owns=("it",)) for name in ("keda", "keda-definitions")]
    assert _check(cluster, *parts) == []


def test_a_circle_is_refused_with_its_names_in_order(cluster: EksCluster) -> None:
    (problem,) = _check(cluster, _needs(KEDA, LOKI), _needs(LOKI, TEMPO), _needs(TEMPO, KEDA))
    chain = problem.reason.partition(": ")[2].split(" needs ")
    assert chain[0] == chain[-1]
    assert set(chain) == {"keda", "loki", "tempo"}
    following = {"keda": "loki", "loki": "tempo", "tempo": "keda"}
    assert [following[name] for name in chain[:-1]] == chain[1:]


def test_needs_and_rivals_are_told_together(cluster: EksCluster) -> None:
    rival = Unit(name="tempo", addon="tempo", owns=("it",))
    other = Unit(name="otel-gateway", addon="otel_collector", owns=("it",))
    problems = _check(cluster, _needs(KEDA, LOKI), LOKI, rival, other, loki="off")
    assert [problem.path for problem in problems] == ["addons.keda", "addons.otel_collector"]
