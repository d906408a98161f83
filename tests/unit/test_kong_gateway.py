"""Kong as the gateway: what it is told. That Kong does as it is told is not shown: nothing here runs it."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pulumi_kubernetes import Provider

from components import kong_plugins as plugins
from components.kong_gateway import KongRoutes, KongRoutesArgs, plugin_configs, roles_of, route_spec, slug
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from settings.kong import KongGateway
from settings.public_key import pem
from tests.made_stacks import KONG

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
GATEWAY: Final = KongGateway.model_validate(KONG["gateway"])
CURVES: Final = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def _text(number: int) -> str:
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(digits).decode().rstrip("=")


def _in_pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.fixture
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


class TestKeys:
    @pytest.mark.parametrize("bits", [2048, 3072])
    def test_an_rsa_key_is_written_as_others_write_it(self, bits: int) -> None:
        key = rsa.generate_private_key(65537, bits).public_key()
        numbers = key.public_numbers()
        assert pem("RSA", {"n": _text(numbers.n), "e": _text(numbers.e)}) == _in_pem(key)

    @pytest.mark.parametrize("curve", sorted(CURVES))
    def test_a_key_of_each_curve_too(self, curve: str) -> None:
        for _ in range(8):
            key = ec.generate_private_key(CURVES[curve]).public_key()
            numbers = key.public_numbers()
            fields = {"crv": curve, "x": _text(numbers.x), "y": _text(numbers.y)}
            assert pem("EC", fields) == _in_pem(key)


class TestPlugins:
    def test_a_token_says_from_when_and_until_when_and_stands_in_the_header_alone(self) -> None:
        config = plugins.tokens(GATEWAY.authentication)
        assert config["claims_to_verify"] == ["exp", "nbf"]
        assert config["maximum_expiration"] == 86_400
        assert (config["header_names"], config["uri_param_names"], config["cookie_names"]) == (
            ["authorization"],
            [],
            [],
        )

    def test_what_a_client_calls_itself_is_removed_before_its_token_names_it(self) -> None:
        config = plugins.rewriting()
        assert config["remove"]["headers"] == ["x-user-id", "authorization"]
        assert config["add"]["headers"] == ['x-user-id:$(headers["x-consumer-username"])']

    def test_no_request_is_let_through_uncounted(self) -> None:
        config = plugins.rate(GATEWAY, 100)
        assert (config["policy"], config["fault_tolerant"], config["limit_by"]) == (
            "redis",
            False,
            "consumer",
        )
        assert config["redis"]["ssl_verify"] is True
        assert "password" not in config["redis"]
        (patch,) = plugins.rate_patches(GATEWAY)
        assert patch == {
            "path": "/redis/password",
            "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
        }

    def test_no_plugin_is_twice_on_a_route(self, settings: Settings) -> None:
        """Kong runs one of a kind: a second would switch the first off."""
        (model, *_) = settings.enabled_models
        configs = plugin_configs(GATEWAY, settings.enabled_models)
        kinds = [configs[role][0] for role in roles_of(GATEWAY, model)]
        assert len(kinds) == len(set(kinds)) == 5

    def test_a_route_leads_below_v1_and_nowhere_else(self, settings: Settings) -> None:
        (model, *_) = settings.enabled_models
        (rule,) = route_spec(model)["rules"]
        (match,) = rule["matches"]
        assert match["path"]["value"] == r"/qwen\-7b\-vllm/v1(?<rest>/.*)$"
        assert plugins.rewriting()["replace"] == {"uri": '/v1$(uri_captures["rest"])'}


class TestRoutes:
    @pytest.fixture
    def recorder(self, deploy: Deploy, settings: Settings) -> Recorder:
        def program() -> None:
            options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
            args = KongRoutesArgs(
                namespace="llm", settings=GATEWAY, models=settings.enabled_models, services={}
            )
            KongRoutes("gateway", args, options)

        return deploy(program)

    def _of(self, recorder: Recorder, kind: str) -> dict[str, Mapping[str, Any]]:
        found = recorder.of_type(f"kubernetes:configuration.konghq.com/v1:{kind}")
        return {r.inputs["metadata"]["name"]: r.inputs for r in found}

    def test_each_consumer_is_known_by_its_claim_and_counted_by_itself(self, recorder: Recorder) -> None:
        consumers = self._of(recorder, "KongConsumer")
        limits = self._of(recorder, "KongPlugin")
        found = {
            consumer["username"]: limits[consumer["metadata"]["annotations"]["konghq.com/plugins"]]["config"][
                "minute"
            ]
            for consumer in consumers.values()
        }
        assert found == {"team-a": 100, "Team_B": 10}

    def test_it_is_in_the_groups_of_its_models(self, recorder: Recorder) -> None:
        secrets = {
            r.inputs["metadata"]["name"]: r.inputs for r in recorder.of_type("kubernetes:core/v1:Secret")
        }
        (consumer,) = [c for c in self._of(recorder, "KongConsumer").values() if c["username"] == "Team_B"]
        kinds = [
            secrets[name]["metadata"]["labels"]["konghq.com/credential"] for name in consumer["credentials"]
        ]
        assert kinds == ["jwt", "acl", "acl"]
        models = [name.removeprefix(consumer["metadata"]["name"]) for name in consumer["credentials"]]
        assert models == ["", ".qwen-7b-vllm", ".qwen3-embedding"]

    def test_a_route_is_closed_before_it_is_open(self, recorder: Recorder) -> None:
        plugins_of = self._of(recorder, "KongPlugin")
        for route in recorder.of_type("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"):
            named = route.inputs["metadata"]["annotations"]["konghq.com/plugins"].split(",")
            assert set(named) <= set(plugins_of)
            waited = {
                r.inputs["metadata"]["name"] for r in recorder.registrations if r.urn in route.dependencies
            }
            assert set(named) <= waited

    @pytest.mark.parametrize(("name", "other"), [("Team_B", "team-b"), ("a@b", "a.b"), ("x" * 60, "x" * 61)])
    def test_two_names_are_never_one(self, name: str, other: str) -> None:
        assert slug(name) != slug(other)
        assert slug("team-a") == "team-a"
