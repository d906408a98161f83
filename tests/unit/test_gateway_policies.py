"""What the gateway asks of a caller, as policies of Envoy Gateway. What Envoy makes of them is tested over the wire."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import Provider

from components.api_gateway import GATEWAY, LISTENER, gateway_spec
from components.engine_files import KEEP_ALIVE_SECONDS
from components.gateway_errors import ERRORS, errors_patch
from components.gateway_limits import CONSUMER_HEADER
from components.gateway_policies import (
    POOLED_SECONDS,
    GatewayPolicies,
    GatewayPoliciesArgs,
    backend_policy,
    client_policy,
    expiry_patch,
    key_set,
    security_policy,
)
from components.model_route import route_spec
from components.route_policy import NOBODY, WAKING, callers, own_policies
from ops.recorder import Recorder
from settings import Settings
from settings.gateway import Consumer, Gateway, JwtAuthentication, LocalKeys, PublicKey, RemoteKeys
from settings.scaling import FixedScaling, KedaScaling

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
KEY = {"kty": "EC", "kid": "a", "alg": "ES256", "crv": "P-256", "x": "AA", "y": "BB"}


def _gateway(**changes: Any) -> Gateway:  # noqa: ANN401
    jwt = JwtAuthentication(
        kind="jwt",
        issuer="https://login.example.com",
        audiences=("llm",),
        keys=RemoteKeys(kind="remote", uri="https://login.example.com/jwks.json"),
    )
    return Gateway(authentication=jwt).model_copy(update=changes)


class TestTokens:
    def test_a_token_is_taken_from_one_header_and_from_nowhere_else(self) -> None:
        (provider,) = security_policy(_gateway())["jwt"]["providers"]
        assert provider["extractFrom"] == {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]}

    def test_issuer_audience_and_keys_are_the_settings_own(self) -> None:
        (provider,) = security_policy(_gateway())["jwt"]["providers"]
        assert (provider["issuer"], provider["audiences"]) == ("https://login.example.com", ["llm"])
        assert provider["remoteJWKS"]["uri"] == "https://login.example.com/jwks.json"

    def test_who_calls_is_said_by_the_token_and_never_by_the_client(self) -> None:
        (provider,) = security_policy(_gateway())["jwt"]["providers"]
        assert provider["claimToHeaders"] == [{"claim": "sub", "header": CONSUMER_HEADER}]
        assert CONSUMER_HEADER in client_policy()["headers"]["earlyRequestHeaders"]["remove"]

    def test_no_trace_is_begun_by_a_client(self) -> None:
        assert {"traceparent", "tracestate"} < set(
            client_policy()["headers"]["earlyRequestHeaders"]["remove"]
        )

    def test_keys_of_the_stack_file_are_one_set(self) -> None:
        keys = LocalKeys(
            kind="local", keys=tuple(map(PublicKey.model_validate, (KEY, {**KEY, "kid": "b", "use": "sig"})))
        )
        found = json.loads(key_set(keys))["keys"]
        assert found == [KEY, {**KEY, "kid": "b", "use": "sig"}]

    def test_without_authentication_there_is_no_policy_of_tokens(self) -> None:
        assert security_policy(Gateway()) == {}

    def test_the_patch_names_the_listener_as_envoy_does(self) -> None:
        (listener,) = gateway_spec()["listeners"]
        assert listener["name"] == LISTENER
        patches = expiry_patch(f"llm-prod/{GATEWAY}/{LISTENER}")["jsonPatches"]
        assert {patch["name"] for patch in patches} == {"llm-prod/api-gateway/http"}
        assert {patch["operation"]["path"]: patch["operation"]["value"] for patch in patches} == {
            "require_expiration": True,
            "clock_skew_seconds": 30,
        }

    def test_a_model_never_sees_the_token(self, local: Settings) -> None:
        (rule,) = route_spec(local.models[0], gateway=GATEWAY)["rules"]
        (changed,) = [f for f in rule["filters"] if f["type"] == "RequestHeaderModifier"]
        assert changed["requestHeaderModifier"]["remove"] == ["authorization"]


class TestConsumers:
    CONSUMERS = (Consumer(name="b", models=("chat",)), Consumer(name="a", models=("chat", "moe")))

    def test_a_model_has_the_callers_that_name_it(self) -> None:
        gateway = _gateway(consumers=self.CONSUMERS)
        assert (callers(gateway, "chat"), callers(gateway, "moe")) == (["a", "b"], ["a"])

    def test_a_model_of_nobody_is_closed(self) -> None:
        gateway = _gateway(consumers=self.CONSUMERS)
        (rule,) = security_policy(gateway, claims=callers(gateway, "embedding"))["authorization"]["rules"]
        assert rule["principal"]["jwt"]["claims"][0]["values"] == [NOBODY]
        with pytest.raises(ValueError, match="identifier"):
            Consumer(name=NOBODY, models=("chat",))

    def test_everybody_else_is_denied(self) -> None:
        gateway = _gateway(consumers=self.CONSUMERS)
        assert security_policy(gateway, claims=["a"])["authorization"]["defaultAction"] == "Deny"

    def test_more_than_a_rule_takes_are_several_rules(self) -> None:
        names = [f"c{index:03}" for index in range(300)]
        rules = security_policy(_gateway(), claims=names)["authorization"]["rules"]
        parts = [rule["principal"]["jwt"]["claims"][0]["values"] for rule in rules]
        assert [len(part) for part in parts] == [128, 128, 44]
        assert [name for part in parts for name in part] == names


class TestWaking:
    def test_a_model_that_calls_wake_keeps_its_counters_at_no_replicas(self, local: Settings) -> None:
        scaling = KedaScaling(kind="keda", min=0, max=2, signals=("gateway-demand",))
        woken = local.models[0].model_copy(update={"autoscaling": scaling})
        ((_, kind, spec),) = own_policies(_gateway(), woken)
        assert kind == "BackendTrafficPolicy"
        # All else is the Gateway's own, the counting of requests above all.
        assert spec == WAKING
        assert spec["routingType"] == "Service"
        assert spec["mergeType"] == "StrategicMerge"
        # Each try is counted as a call.
        assert spec["retry"]["numRetries"] == 0

    @pytest.mark.parametrize(
        "scaling",
        [
            KedaScaling(kind="keda", min=1, max=2, signals=("gateway-demand",)),
            KedaScaling(kind="keda", min=1, max=2),
            FixedScaling(kind="fixed", replicas=1),
        ],
        ids=["scaled by demand", "scaled by the engines", "fixed"],
    )
    def test_a_model_that_never_has_none_has_the_gateway_s_own(
        self, local: Settings, scaling: KedaScaling | FixedScaling
    ) -> None:
        model = local.models[0].model_copy(update={"autoscaling": scaling})
        assert own_policies(_gateway(), model) == []


def _answers() -> dict[int, dict[str, Any]]:
    """What Envoy is told of its own answers, by status."""
    (patch,) = errors_patch(f"llm-prod/{GATEWAY}/{LISTENER}")["jsonPatches"]
    mappers = patch["operation"]["value"]["mappers"]
    return {
        one["filter"]["status_code_filter"]["comparison"]["value"]["default_value"]: one for one in mappers
    }


class TestErrors:
    def test_the_gateway_s_own_are_openai_s(self) -> None:
        assert set(_answers()) == set(ERRORS)
        for one in _answers().values():
            body = json.loads(one["body_format_override"]["text_format_source"]["inline_string"])
            assert set(body["error"]) == {"message", "type", "param", "code"}

    def test_no_text_is_a_format_of_envoy_s(self) -> None:
        """A percent sign would be one, and an unknown one closes the listener."""
        for error in ERRORS.values():
            assert "%" not in f"{error.kind}{error.code}{error.message}"

    def test_who_comes_too_often_or_too_early_is_told_when_to_try_again(self) -> None:
        told = {
            status: header["header"]
            for status, one in _answers().items()
            for header in one.get("headers_to_add", [])
        }
        assert told == {
            429: {"key": "retry-after", "value": "%RESP(X-RATELIMIT-RESET)%"},
            503: {"key": "retry-after", "value": "5"},
        }


class TestForm:
    def test_nothing_is_tried_again_that_an_engine_began(self) -> None:
        triggers = set(backend_policy(Gateway(), None)["retry"]["retryOn"]["triggers"])
        assert triggers <= {"connect-failure", "refused-stream", "reset-before-request"}

    def test_a_page_of_a_named_origin_may_call(self) -> None:
        cors = security_policy(_gateway(origins=("https://chat.example.com",)))["cors"]
        assert cors["allowOrigins"] == ["https://chat.example.com"]
        assert {"POST", "OPTIONS"} <= set(cors["allowMethods"])
        assert "cors" not in security_policy(_gateway())

    def test_openai_s_client_in_a_page_may_send_what_it_sends(self) -> None:
        cors = security_policy(_gateway(origins=("https://chat.example.com",)))["cors"]
        assert {"authorization", "content-type", "x-stainless-os", "x-stainless-retry-count"} <= set(
            cors["allowHeaders"]
        )
        assert {"x-request-id", "retry-after", "x-ratelimit-remaining"} <= set(cors["exposeHeaders"])

    def test_a_connection_that_nobody_uses_is_ended_by_envoy_before_the_engine_does(self) -> None:
        idle = backend_policy(_gateway(), None)["timeout"]["http"]["connectionIdleTimeout"]
        assert int(idle.removesuffix("s")) == POOLED_SECONDS < KEEP_ALIVE_SECONDS

    def test_the_size_of_a_request_is_a_setting(self) -> None:
        assert backend_policy(_gateway(max_body_bytes=77), None)["requestBuffer"] == {"limit": "77"}


def _kinds(deploy: Deploy, gateway: Gateway) -> set[str]:
    def program() -> None:
        args = GatewayPoliciesArgs(namespace="llm", gateway=GATEWAY, settings=gateway, limits=None)
        options = pulumi.ResourceOptions(providers=[Provider("kubernetes", kubeconfig="{}")])
        GatewayPolicies("policies", args, options)

    recorder = deploy(program)
    objects = [r for r in recorder.registrations if "kind" in r.inputs]
    targets = [o.inputs["spec"].get("targetRef") or o.inputs["spec"]["targetRefs"][0] for o in objects]
    assert {target["name"] for target in targets} == {GATEWAY}
    return {o.inputs["kind"] for o in objects}


def test_a_gateway_with_tokens_has_all_policies(deploy: Deploy) -> None:
    everything = {"ClientTrafficPolicy", "BackendTrafficPolicy", "SecurityPolicy", "EnvoyPatchPolicy"}
    assert _kinds(deploy, _gateway()) == everything


def test_an_open_gateway_has_sizes_and_errors_all_the_same(deploy: Deploy) -> None:
    assert _kinds(deploy, Gateway()) == {"ClientTrafficPolicy", "BackendTrafficPolicy", "EnvoyPatchPolicy"}
