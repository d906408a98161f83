"""A rollout, state after state: what each `pulumi up` would change, and in which order.

Each state is the stack file that a commit of the rollout leaves. The programs are run under the recorder; what
Pulumi does with the difference of two of them is in tests/rehearsal/test_rollout.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ops.program_graph import ProgramGraph, program_graph
from ops.recorder import STACK_TYPE
from ops.render import is_patch
from tests.made_stacks import EVERYTHING, made_stack
from tests.rollout_states import ADDONS, MODEL, STATES, pools, section, state

pytestmark = pytest.mark.graph

Node = Mapping[str, Any]
CANARY: Final = f"{MODEL}-canary"
SCALER: Final = ("HorizontalPodAutoscaler", MODEL)
ROUTE: Final = ("HTTPRoute", MODEL)
STABLE: Final = ("InferenceService", MODEL)
CANARYS: Final = {
    (kind, CANARY)
    for kind in ("InferenceService", "ServiceAccount", "PodDisruptionBudget", "HorizontalPodAutoscaler")
}


@pytest.fixture(scope="module")
def graphs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProgramGraph]:
    """The program in each state."""
    found: dict[str, ProgramGraph] = {}
    for name in STATES:
        sections = {"addons": ADDONS, "pools": pools(root), "models": state(root, name)}
        folder = made_stack(root, tmp_path_factory.mktemp(name), "made", "local", sections)
        found[name] = program_graph("made", folder)
    return found


def _objects(graph: ProgramGraph) -> dict[tuple[str, str], Node]:
    return {
        (node["inputs"]["kind"], node["inputs"]["metadata"]["name"]): node
        for node in graph.resources
        if "kind" in node["inputs"] and "metadata" in node["inputs"] and not is_patch(node)
    }


def _changed(before: ProgramGraph, after: ProgramGraph) -> set[tuple[str, str]]:
    old, new = _objects(before), _objects(after)
    return {key for key in old.keys() & new.keys() if old[key]["inputs"] != new[key]["inputs"]}


def _added(before: ProgramGraph, after: ProgramGraph) -> set[tuple[str, str]]:
    return _objects(after).keys() - _objects(before).keys()


def _weights(graph: ProgramGraph) -> dict[str, int]:
    (rule,) = _objects(graph)[ROUTE]["inputs"]["spec"]["rules"]
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def _outputs(graph: ProgramGraph) -> Any:  # noqa: ANN401
    (stack,) = [node["urn"] for node in graph.resources if node["type"] == STACK_TYPE]
    return graph.outputs[stack]


@pytest.mark.parametrize(
    ("name", "stable", "canary"),
    [
        ("before", 100, None),
        ("warm", 100, 0),
        ("first", 95, 5),
        ("half", 50, 50),
        ("whole", 0, 100),
        ("taken over", 0, 100),
        ("after", 100, None),
    ],
)
def test_the_weights_of_a_state(
    graphs: dict[str, ProgramGraph], name: str, stable: int, canary: int | None
) -> None:
    expected = {f"{MODEL}-predictor": stable}
    if canary is not None:
        expected[f"{CANARY}-predictor"] = canary
    assert _weights(graphs[name]) == expected


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("before", "warm", {ROUTE, SCALER}),  # the scaler holds what runs now
        ("warm", "first", {ROUTE, ("HorizontalPodAutoscaler", CANARY)}),
        ("first", "half", {ROUTE, ("HorizontalPodAutoscaler", CANARY)}),
        ("half", "whole", {ROUTE}),  # all that the last step needs is there already
        ("whole", "taken over", {STABLE, ("ServiceAccount", MODEL), ("PodDisruptionBudget", MODEL), SCALER}),
        ("taken over", "after", {ROUTE, SCALER}),
        ("first", "before", {ROUTE, SCALER}),
        ("whole", "before", {ROUTE, SCALER}),
    ],
)
def test_a_step_changes_this_and_nothing_else(
    graphs: dict[str, ProgramGraph], before: str, after: str, changed: set[tuple[str, str]]
) -> None:
    """Above all, the InferenceService of the stable version changes only when it takes the candidate's release over."""
    assert _changed(graphs[before], graphs[after]) == changed


@pytest.mark.parametrize(("before", "after"), [("before", "warm"), ("after", "taken over")])
def test_a_candidate_comes_and_goes_as_a_whole(
    graphs: dict[str, ProgramGraph], before: str, after: str
) -> None:
    assert _added(graphs[before], graphs[after]) == CANARYS
    assert _added(graphs[after], graphs[before]) == set()


def test_an_aborted_rollout_leaves_what_was_before(graphs: dict[str, ProgramGraph]) -> None:
    """Whatever the step, the file without the candidate is the file of the beginning."""
    assert _changed(graphs["before"], graphs["after"]) != set()
    for name in ("warm", "first", "half", "whole"):
        assert _added(graphs["before"], graphs[name]) == CANARYS


def test_a_weight_waits_for_the_versions_that_it_is_of(graphs: dict[str, ProgramGraph]) -> None:
    for name, graph in graphs.items():
        objects = _objects(graph)
        waited = {key for key, node in objects.items() if node["urn"] in objects[ROUTE]["dependencies"]}
        assert STABLE in waited
        assert (("InferenceService", CANARY) in waited) == (name not in {"before", "after"})
        # The scaler too: without it the replicas of the next step would not be asked for.
        assert SCALER in waited


def test_nothing_of_a_version_waits_for_the_route(graphs: dict[str, ProgramGraph]) -> None:
    """So the route goes first when a version is taken out: Pulumi deletes last."""
    for graph in graphs.values():
        route = _objects(graph)[ROUTE]["urn"]
        assert [node["urn"] for node in graph.resources if route in node["dependencies"]] == []


def test_each_deployment_has_one_owner_of_its_replicas(graphs: dict[str, ProgramGraph]) -> None:
    objects = _objects(graphs["half"])
    for name in (MODEL, CANARY):
        service = objects["InferenceService", name]["inputs"]
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
        assert "minReplicas" not in service["spec"]["predictor"]
        target = objects["HorizontalPodAutoscaler", name]["inputs"]["spec"]["scaleTargetRef"]["name"]
        assert target == f"{name}-predictor"


def test_the_outputs_say_what_runs_and_where_the_rollout_stands(graphs: dict[str, ProgramGraph]) -> None:
    half = _outputs(graphs["half"])["release"]["models"][MODEL]
    assert (half["candidate"]["step"], half["candidate"]["weight"]) == (2, 50)
    assert half["candidate"]["release"]["image"]["tag"] == "v1.1"
    assert half["candidate"]["image"].endswith(":v1.1")
    assert half["stable"]["release"]["image"]["tag"] == "v1.0"
    after = _outputs(graphs["after"])["release"]["models"][MODEL]
    assert set(after) == {"stable"}
    assert after["stable"]["release"] == half["candidate"]["release"]
    assert _outputs(graphs["half"])["models"][MODEL]["path"] == f"/{MODEL}/v1"


def test_without_a_gateway_there_is_no_route(root: Path) -> None:
    graph = program_graph("local", root)
    assert [kind for kind, _ in _objects(graph) if kind in {"Gateway", "HTTPRoute"}] == []


def test_on_aws_a_candidate_reads_its_own_directory_and_nothing_more(root: Path, tmp_path: Path) -> None:
    models = section(root, "prod", "models")
    (moe,) = [model for model in models if model["name"] == "qwen3-235b-a22b"]
    place, _, revision = moe["weights"]["uri"].rpartition("/")
    weights = {"kind": "s3", "uri": f"{place}-2/{revision}"}
    candidate = {"release": {"weights": weights}}
    in_place = {"max_surge": 0, "max_unavailable": 1}
    moe["rollout"] = {"kind": "canary", "steps": [50, 100], **in_place, "candidate": candidate}
    # Two nodes of the large kind are above prod's budget.
    sections: dict[str, Any] = {
        **EVERYTHING,
        "models": models,
        "pools": pools(root, "prod", a100=2),
        "cost": {},
    }
    graph = program_graph("made", made_stack(root, tmp_path, "made", "prod", sections))
    associations = {
        node["inputs"]["serviceAccount"]
        for node in graph.resources
        if node["type"] == "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    }
    assert {"qwen3-235b-a22b", "qwen3-235b-a22b-canary"} <= associations
    by_urn = {node["urn"]: node for node in graph.resources}
    (service,) = [node for node in graph.resources if node["name"] == "qwen3-235b-a22b-canary"]
    waited = {by_urn[urn]["name"] for urn in service["dependencies"]}
    assert "qwen3-235b-a22b-canary-access-association" in waited
