"""The route to a model: who gets which share of the traffic in each state of a rollout."""

import re
from typing import Any

import pytest

from components.api_gateway import GATEWAY_PORT, gateway_spec
from components.common_api import own_path
from components.engine_args import engine_args
from components.engine_files import engine_environment
from components.model_names import model_labels, pod_selector
from components.model_route import backends, request_timeout, route_spec
from settings import CanaryRollout, Candidate, Engine, Model, ReleaseChange, Settings
from settings.adapters import Adapter
from settings.versions import canary_of, stable_of

pytestmark = pytest.mark.unit

STEPS = (0, 5, 100)


@pytest.fixture
def model(local: Settings) -> Model:
    return local.models[0]


def at(model: Model, step: int | None, engine: Engine | None = None) -> Model:
    release = ReleaseChange(engine=engine or model.engine.model_copy(update={"max_num_seqs": 8}))
    candidate = None if step is None else Candidate(release=release, step=step)
    rollout = CanaryRollout(kind="canary", steps=STEPS, candidate=candidate)
    return model.model_copy(update={"rollout": rollout})


class TestShares:
    def test_without_a_candidate_all_of_it_goes_to_the_model(self, model: Model) -> None:
        only = [{"name": "qwen-7b-vllm-predictor", "port": 80, "weight": 100}]
        assert backends(model) == only
        assert backends(at(model, None)) == only

    @pytest.mark.parametrize(("step", "shares"), [(0, (100, 0)), (1, (95, 5)), (2, (0, 100))])
    def test_each_step_deals_out_a_hundred(self, model: Model, step: int, shares: tuple[int, int]) -> None:
        found = backends(at(model, step))
        assert [one["name"] for one in found] == [
            "qwen-7b-vllm-predictor",
            "qwen-7b-vllm-canary-predictor",
        ]
        assert tuple(one["weight"] for one in found) == shares


def _admitted(matches: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    """Path, method and model's name of each match; a list of them would hide one that is there twice."""
    found = [
        (match["path"]["value"], match["method"], next((h["value"] for h in match.get("headers", [])), None))
        for match in matches
    ]
    assert {match["path"]["type"] for match in matches} == {"Exact"}
    assert len(set(found)) == len(found)
    return set(found)


class TestRoute:
    def test_a_model_is_called_below_a_path_of_its_own(self, model: Model) -> None:
        (rule,) = route_spec(model, gateway="api-gateway")["rules"]
        assert _admitted(rule["matches"]) == {
            (f"{path}{api}", method, header)
            for api in ("/chat/completions", "/completions")
            for path, method, header in (
                ("/qwen-7b-vllm/v1", "POST", None),
                ("/qwen-7b-vllm/v1", "OPTIONS", None),
                ("/v1", "POST", "qwen-7b-vllm"),
            )
        } | {("/qwen-7b-vllm/v1/models", method, None) for method in ("GET", "OPTIONS")}

    def test_an_embedding_model_gives_vectors_and_no_texts(self, local: Settings) -> None:
        (embedding,) = [model for model in local.models if model.task == "embed"]
        (rule,) = route_spec(embedding, gateway="api-gateway")["rules"]
        paths = {path for path, method, _ in _admitted(rule["matches"]) if method == "POST"}
        assert paths == {"/v1/embeddings", "/qwen3-embedding/v1/embeddings"}

    def test_an_adapter_is_called_by_its_own_name(self, model: Model) -> None:
        adapters = tuple(Adapter(name=name, path="/opt/a", rank=16) for name in ("sql.v1", "de"))
        with_them = model.model_copy(
            update={"engine": model.engine.model_copy(update={"adapters": adapters})}
        )
        (rule,) = route_spec(with_them, gateway="api-gateway")["rules"]
        (pattern,) = {header for _, _, header in _admitted(rule["matches"]) if header}
        for name in ("qwen-7b-vllm", "sql.v1", "de"):
            assert re.fullmatch(pattern, name)
        for name in ("sqlxv1", "qwen-7b-vllm2", "d"):
            assert re.fullmatch(pattern, name) is None

    def test_no_two_models_meet(self, local: Settings) -> None:
        met = [
            place
            for model in local.models
            for place in _admitted(route_spec(model, gateway="api-gateway")["rules"][0]["matches"])
        ]
        assert len(set(met)) == len(met)

    def test_a_route_is_one_rule_with_one_cluster_by_whose_name_requests_are_counted(
        self, model: Model
    ) -> None:
        rules = route_spec(model, gateway="api-gateway")["rules"]
        assert len(rules) == 1
        # What one rule of an HTTPRoute takes.
        assert len(rules[0]["matches"]) <= 64

    @pytest.mark.parametrize(
        ("path", "engine"),
        [
            ("/qwen-7b-vllm/v1/chat/completions", "/v1/chat/completions"),
            ("/v1/chat/completions", "/v1/chat/completions"),
        ],
    )
    def test_an_engine_sees_the_path_that_it_knows(self, path: str, engine: str) -> None:
        replaced = own_path()["urlRewrite"]["path"]["replaceRegexMatch"]
        assert re.sub(replaced["pattern"], replaced["substitution"], path) == engine

    def test_a_request_may_last_as_long_as_the_longest_generation(self, model: Model) -> None:
        assert request_timeout(model) == "14m"
        short = model.model_copy(update={"engine": Engine(max_num_seqs=1, max_model_len=512)})
        assert request_timeout(short) == "10m"

    def test_the_longer_of_two_versions_decides(self, model: Model) -> None:
        longer = model.engine.model_copy(update={"max_model_len": 32768})
        assert request_timeout(at(model, 1, longer)) == "55m"

    def test_the_gateway_takes_routes_of_its_own_namespace_alone(self) -> None:
        (listener,) = gateway_spec()["listeners"]
        assert listener["allowedRoutes"] == {"namespaces": {"from": "Same"}}
        # Envoy Gateway adds 10000 to a port below 1024, and the load balancer goes to the pods themselves.
        assert listener["port"] == GATEWAY_PORT >= 1024


class TestTellingApart:
    def test_clients_call_both_by_one_name(self, model: Model) -> None:
        for version in (stable_of(at(model, 1)), canary_of(at(model, 1))):
            assert version is not None
            assert "--served-model-name=qwen-7b-vllm" in engine_args(version)

    def test_logs_and_labels_say_which_it_was(self, model: Model) -> None:
        canary = canary_of(at(model, 1))
        assert canary is not None
        variables = {one["name"]: one["value"] for one in engine_environment(canary, "us-east-1")}
        assert variables["VP_SERVICE"] == "qwen-7b-vllm-canary"
        labels = model_labels(canary)
        assert labels["vllm-platform.io/model"] == "qwen-7b-vllm"
        assert labels["vllm-platform.io/track"] == "canary"
        assert model_labels(model)["vllm-platform.io/track"] == "stable"

    def test_no_selector_of_one_meets_pods_of_the_other(self) -> None:
        assert pod_selector("qwen-7b-vllm") != pod_selector("qwen-7b-vllm-canary")
