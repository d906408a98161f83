"""The gateway in the graph of a whole stack: a route is closed before it is open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.program_graph import ProgramGraph, program_graph
from tests.made_stacks import made_stack

pytestmark = pytest.mark.graph

Node = Mapping[str, Any]
GATEWAY = {
    "authentication": {
        "kind": "jwt",
        "issuer": "https://login.example.com",
        "audiences": ["llm"],
        "keys": {"kind": "remote", "uri": "https://login.example.com/jwks.json"},
    },
    "consumers": [{"name": "team-a", "models": ["qwen-7b-vllm"]}],
}


@pytest.fixture(scope="module")
def guarded(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ProgramGraph:
    sections = {"gateway": GATEWAY, "addons": {"gateway_api": "existing", "envoy_gateway": "existing"}}
    folder = made_stack(root, tmp_path_factory.mktemp("guarded"), "guarded", "local", sections)
    return program_graph("guarded", folder)


def _of(graph: ProgramGraph, kind: str) -> dict[str, Node]:
    """Every object of a kind, by its name."""
    found = [node for node in graph.resources if node["inputs"].get("kind") == kind]
    assert found, kind
    return {node["inputs"]["metadata"]["name"]: node for node in found}


def test_a_route_comes_after_all_that_closes_it(guarded: ProgramGraph) -> None:
    closing = {
        kind: _of(guarded, kind) for kind in ("SecurityPolicy", "EnvoyPatchPolicy", "ClientTrafficPolicy")
    }
    for name, route in _of(guarded, "HTTPRoute").items():
        own = {closing["SecurityPolicy"][name]["urn"]}
        of_all = {
            policies[key]["urn"]
            for policies in closing.values()
            for key in policies
            if key not in _routes(guarded)
        }
        assert own | of_all <= set(route["dependencies"]), name


def test_a_policy_comes_after_the_gateway_and_so_after_its_kinds(guarded: ProgramGraph) -> None:
    (gateway,) = _of(guarded, "Gateway").values()
    policies = _of(guarded, "SecurityPolicy")
    for_all = policies.pop("api-gateway-security")
    assert gateway["urn"] in for_all["dependencies"]
    assert set(policies) == _routes(guarded)
    for policy in policies.values():
        assert for_all["urn"] in policy["dependencies"]


def test_a_model_that_no_consumer_names_is_closed(guarded: ProgramGraph) -> None:
    policies = _of(guarded, "SecurityPolicy")
    (rule,) = policies["qwen3-embedding"]["inputs"]["spec"]["authorization"]["rules"]
    assert rule["principal"]["jwt"]["claims"][0]["values"] == ["-"]


def _routes(graph: ProgramGraph) -> set[str]:
    return set(_of(graph, "HTTPRoute"))
