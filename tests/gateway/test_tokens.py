"""Who gets in: tokens over the wire, through a real Envoy as Envoy Gateway configured it from the program's objects."""

import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from components.addons.envoy_gateway import OWN_API
from components.api_paths import HEALTH_PATH
from components.gateway_log import FIELDS
from components.gateway_policies import CLIENT_HEADERS
from ops.token import mint
from ops.token_keys import new_key, public_half
from rehearsal.definitions import define
from tests.gateway.calls import engine_line, gateway_line, gateway_lines, refused, request
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.forged import FORGED, NEW, OLD, STRANGER, now
from tests.gateway.models import MODEL, sections, wait_for
from tests.gateway.tokens import Issuer
from tests.rehearsal.conftest import tools

pytestmark = pytest.mark.gateway

ORIGIN: Final = "https://chat.example.com"
BODY_BYTES: Final = 100_000
OK: Final = 200
OF_VP: Final = new_key()
"""As `vp token keys` makes one."""
OTHER: Final = "other-model"
CONSUMERS: Final = {"team-a": MODEL, "team-b": MODEL, "team-c": OTHER}
KINDS: Final = ("clienttrafficpolicies", "backendtrafficpolicies", "securitypolicies", "envoypatchpolicies")
PATH: Final = f"/{MODEL}/v1/chat/completions"


def _sections(*keys: Issuer) -> dict[str, Any]:
    made = sections()
    return {
        **made,
        "models": [*made["models"], {**made["models"][0], "name": OTHER}],
        "gateway": {
            "authentication": {
                "kind": "jwt",
                "issuer": "https://login.example.com",
                "audiences": ["llm"],
                "keys": {
                    "kind": "local",
                    "keys": [*(issuer.public() for issuer in keys), public_half(OF_VP)],
                },
            },
            "consumers": [{"name": name, "models": [model]} for name, model in CONSUMERS.items()],
            "limits": {"kind": "off"},
            "origins": [ORIGIN],
            "max_body_bytes": BODY_BYTES,
        },
    }


@pytest.fixture(scope="module")
def guarded(empty_plane: DataPlane) -> DataPlane:
    """A gateway as the program makes it, with tokens and consumers, in front of a model."""
    define(empty_plane.api, tools(), ["prometheus-definitions"])
    empty_plane.stack("gateway", _sections(OLD)).up()
    empty_plane.programmed()
    wait_for(empty_plane, "", 1)

    def let_in() -> bool:
        try:
            asked = {
                name: _complete(empty_plane, _body(model=model), name) for name, model in CONSUMERS.items()
            }
            return _call(empty_plane, OLD.token()).status_code == OK and all(
                answer.status_code == OK for answer in asked.values()
            )
        except httpx.HTTPError:
            return False

    empty_plane.until("a good token gets in", let_in)
    return empty_plane


def _call(
    plane: DataPlane,
    token: str | None = None,
    *,
    headers: list[tuple[str, str]] | None = None,
    query: str = "",
    **body: Any,  # noqa: ANN401
) -> httpx.Response:
    sent = [*(headers or []), *([("Authorization", f"Bearer {token}")] if token is not None else [])]
    content = {"model": MODEL, "messages": [{"role": "user", "content": "count"}], "max_tokens": 2, **body}
    (url,) = plane.gateway_urls()
    return httpx.post(f"{url}{PATH}{query}", json=content, headers=sent, trust_env=False, timeout=30)


class TestWhoGetsIn:
    def test_a_good_token_does(self, guarded: DataPlane) -> None:
        answer = _call(guarded, OLD.token())
        assert answer.status_code == 200
        assert answer.json()["choices"]

    def test_a_token_of_vp_does(self, guarded: DataPlane) -> None:
        settings = guarded.settings("gateway", _sections(OLD))
        token = mint(settings, OF_VP, "team-a", minutes=1, now=now(), model=MODEL)
        assert _call(guarded, token).status_code == 200

    def test_nobody_without_a_token_does(self, guarded: DataPlane) -> None:
        refused(_call(guarded), 401)

    @pytest.mark.parametrize("kind", FORGED)
    def test_nobody_with_a_token_does_that_is(self, guarded: DataPlane, kind: str) -> None:
        refused(_call(guarded, FORGED[kind]()), 401)

    @pytest.mark.parametrize("audience", ["another", None])
    def test_a_token_for_others_does_not(self, guarded: DataPlane, audience: str | None) -> None:
        answer = _call(guarded, OLD.token(aud=audience))
        refused(answer, 403 if audience else answer.status_code)
        assert answer.status_code in {401, 403}

    def test_a_token_in_the_address_does_not(self, guarded: DataPlane) -> None:
        refused(_call(guarded, query=f"?access_token={OLD.token()}"), 401)

    def test_two_tokens_at_once_do_not(self, guarded: DataPlane) -> None:
        bad = [("Authorization", f"Bearer {STRANGER.token()}")]
        refused(_call(guarded, OLD.token(), headers=bad), 401)

    def test_a_caller_whom_the_stack_does_not_name_does_not(self, guarded: DataPlane) -> None:
        refused(_call(guarded, OLD.token(sub="team-z")), 403)

    def test_one_without_a_name_does_not(self, guarded: DataPlane) -> None:
        refused(_call(guarded, OLD.token(sub=None)), 403)

    def test_a_token_that_ended_just_now_still_does_for_clocks_differ(self, guarded: DataPlane) -> None:
        assert _call(guarded, OLD.token(exp=now() - 5)).status_code == 200


class TestWhatModelsSee:
    def test_the_log_names_whom_the_token_names(self, guarded: DataPlane) -> None:
        forged = [("x-user-id", "somebody-else"), ("X-User-Id", "admin")]
        answer = _call(guarded, OLD.token(sub="team-b"), headers=forged)
        assert answer.status_code == 200
        line = engine_line(guarded, answer.headers["x-request-id"], MODEL)
        assert line["user_id"] == "team-b"

    def test_a_request_s_id_is_the_gateway_s_own(self, guarded: DataPlane) -> None:
        answer = _call(guarded, OLD.token(), headers=[("x-request-id", "0123456789abcdef")])
        assert answer.headers["x-request-id"] != "0123456789abcdef"
        assert engine_line(guarded, answer.headers["x-request-id"], MODEL)["status_code"] == 200

    def test_no_token_reaches_a_log(self, guarded: DataPlane) -> None:
        token = OLD.token()
        assert _call(guarded, token).status_code == 200
        signature = token.rpartition(".")[2]
        for log in guarded.folder.rglob("*.log"):
            assert signature not in log.read_text("utf-8", errors="replace"), log


class TestForm:
    @pytest.mark.parametrize("path", [PATH, f"/{MODEL}/v1/models", "/v1/chat/completions", "/v1/models"])
    def test_a_page_of_a_named_origin_may_ask(self, guarded: DataPlane, path: str) -> None:
        answer = _preflight(guarded, ORIGIN, path)
        assert answer.status_code in {200, 204}
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        allowed = {each.strip() for each in answer.headers["access-control-allow-headers"].split(",")}
        assert {"authorization", *CLIENT_HEADERS} <= allowed

    @pytest.mark.parametrize("path", [PATH, "/v1/chat/completions"])
    def test_a_page_of_another_one_may_not(self, guarded: DataPlane, path: str) -> None:
        answer = _preflight(guarded, "https://evil.example.com", path)
        assert "access-control-allow-origin" not in answer.headers

    def test_a_request_may_be_as_large_as_the_settings_say_and_no_larger(self, guarded: DataPlane) -> None:
        fitting = [{"role": "user", "content": "x" * (BODY_BYTES - 1000)}]
        assert _call(guarded, OLD.token(), messages=fitting).status_code == 200
        refused(_call(guarded, OLD.token(), messages=[{"role": "user", "content": "x" * BODY_BYTES}]), 413)

    def test_a_path_in_disguise_is_refused(self, guarded: DataPlane) -> None:
        answer = request(guarded, "GET", f"/{MODEL}%2fv1/models", OLD.token())
        assert answer.status_code == 400

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", f"/{MODEL}/v1/chat/completions"),
            ("DELETE", f"/{MODEL}/v1/models"),
            ("POST", f"/{MODEL}/v1/embeddings"),
            ("POST", f"/{MODEL}/v1/chat/completions/more"),
            ("POST", f"/{MODEL}/tokenize"),
            ("GET", f"/{MODEL}/health"),
            ("GET", f"/{MODEL}/v1/../metrics"),
            ("GET", "/metrics"),
            ("GET", "/"),
            ("PUT", "/v1/chat/completions"),
            ("POST", "/nobody/v1/chat/completions"),
        ],
    )
    def test_no_other_way_leads_to_an_engine(self, guarded: DataPlane, method: str, path: str) -> None:
        refused(request(guarded, method, path, OLD.token()), 404)


def _complete(plane: DataPlane, body: str, consumer: str = "team-a", **headers: str) -> httpx.Response:
    return request(
        plane, "POST", "/v1/chat/completions", OLD.token(sub=consumer), content=body, headers=headers
    )


def _body(**more: Any) -> str:  # noqa: ANN401
    return json.dumps({"messages": [{"role": "user", "content": "count"}], "max_tokens": 2, **more})


class TestModelOfTheBody:
    @pytest.mark.parametrize(("consumer", "model"), [("team-a", MODEL), ("team-c", OTHER)])
    def test_a_request_goes_to_the_model_that_it_names(
        self, guarded: DataPlane, consumer: str, model: str
    ) -> None:
        answer = _complete(guarded, _body(model=model), consumer)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == model
        assert engine_line(guarded, answer.headers["x-request-id"], model)["user_id"] == consumer

    @pytest.mark.parametrize(
        "body",
        [
            f'{{"model":"{MODEL}","messages":[],"max_tokens":1}}',
            f' \n{{ "messages" : [] , "max_tokens" : 1 , "model" : "{MODEL}" }}',
            _body(model=MODEL, metadata={"model": OTHER, "list": ["model", OTHER, {"model": OTHER}]}),
            json.dumps({"user": f'"model":"{OTHER}"', "a\\": "\\", "model": MODEL, "max_tokens": 1}),
            json.dumps({"note": "model", "stop": ["model", OTHER], "model": MODEL, "max_tokens": 1}),
        ],
    )
    def test_it_is_the_outermost_object_s_whatever_the_text_around_it(
        self, guarded: DataPlane, body: str
    ) -> None:
        answer = _complete(guarded, body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == MODEL

    @pytest.mark.parametrize(
        "body",
        [
            _body(model="nobody"),
            _body(),
            _body(model=None),
            _body(model=[MODEL]),
            _body(model={"model": MODEL}),
            _body(model=f"{MODEL}\r\nx-user-id: team-c"),
            _body(model=f"{MODEL}|{OTHER}"),
            _body(model="x" * 4000),
            json.dumps([{"model": MODEL}]),
            json.dumps(MODEL),
            f'{{"model":"{MODEL}',
            '{"messages":"' + "\\" * 4001,
            "",
            "[" * 4000,
        ],
    )
    def test_without_one_that_there_is_it_goes_nowhere(self, guarded: DataPlane, body: str) -> None:
        refused(_complete(guarded, body), 404)

    @pytest.mark.parametrize(
        ("method", "path", "model", "status"),
        [
            ("POST", "/v1/chat/completions", MODEL, 200),
            ("POST", "/v1/chat/completions", OTHER, 403),
            ("POST", "/v1/chat/completions", "nobody", 404),
            ("POST", "/v1/chat/completions", "", 404),
            ("GET", "/v1/models", "", 200),
            ("OPTIONS", "/v1/chat/completions", "", 404),
        ],
    )
    def test_a_page_gets_what_it_asks_for_and_may_read_the_answer(
        self, guarded: DataPlane, method: str, path: str, model: str, status: int
    ) -> None:
        content = _body(model=model) if method == "POST" else ""
        answer = request(guarded, method, path, OLD.token(), content=content, headers={"Origin": ORIGIN})
        assert answer.status_code == status, answer.text
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        if status != 200:
            refused(answer, status)
        elif model:
            assert answer.json()["model"] == model

    def test_what_a_client_writes_of_it_elsewhere_is_nothing(self, guarded: DataPlane) -> None:
        forged = {"x-vp-model": OTHER}
        assert _complete(guarded, _body(model=MODEL), **forged).json()["model"] == MODEL
        refused(_complete(guarded, _body(), **forged), 404)

    def test_a_consumer_gets_no_other_model_by_its_name(self, guarded: DataPlane) -> None:
        refused(_complete(guarded, _body(model=OTHER), "team-a"), 403)
        refused(_complete(guarded, _body(model=MODEL), "team-c"), 403)

    def test_strangers_come_no_further_here(self, guarded: DataPlane) -> None:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
            refused(request(guarded, method, path, None, content=_body(model=MODEL)), 401)
            refused(request(guarded, method, path, OLD.token(sub="team-z"), content=_body(model=MODEL)), 403)

    def test_a_request_may_be_as_large_as_on_every_other_path(self, guarded: DataPlane) -> None:
        assert _complete(guarded, _body(user="x" * (BODY_BYTES - 1000), model=MODEL)).status_code == 200
        refused(_complete(guarded, _body(user="x" * BODY_BYTES, model=MODEL)), 413)

    def test_the_models_are_listed(self, guarded: DataPlane) -> None:
        answer = request(guarded, "GET", "/v1/models", OLD.token())
        assert answer.headers["content-type"] == "application/json"
        assert [each["id"] for each in answer.json()["data"]] == [MODEL, OTHER]


class TestLogOfTheGateway:
    def test_it_says_who_asked_which_model_with_what_result_and_nothing_of_the_text(
        self, guarded: DataPlane
    ) -> None:
        secret = "a-word-that-nobody-else-says"  # noqa: S105 - what a caller writes
        body = _body(model=MODEL, user=secret)
        for path, status in ((f"{PATH}?key={secret}", 200), ("/v1/chat/completions?key=" + secret, 200)):
            answer = request(guarded, "POST", path, OLD.token(sub="team-b"), content=body)
            assert answer.status_code == status
            line = gateway_line(guarded, answer.headers["x-request-id"])
            assert set(line) <= set(FIELDS)
            assert (line["user_id"], line["model"], line["status_code"]) == ("team-b", MODEL, status)
            # As the engine has it, by whatever path it came.
            assert line["path"] == "/v1/chat/completions"
            assert line["total_time_ms"] >= line["first_byte_ms"] >= 0
            assert f"/{MODEL}/rule/0" in line["route"]
        for log in guarded.folder.rglob("*.log"):
            assert secret not in log.read_text("utf-8", errors="replace"), log

    def test_a_load_balancer_needs_no_token_and_leaves_no_line(self, guarded: DataPlane) -> None:
        answer = request(guarded, "GET", HEALTH_PATH, None)
        assert answer.status_code == 200
        # Nobody else hides behind it: in the log the path stands without what comes after it.
        refused(request(guarded, "GET", f"{HEALTH_PATH}?x=1", None), 404)

        def said() -> list[int]:
            return [line["status_code"] for line in gateway_lines(guarded) if line["path"] == HEALTH_PATH]

        guarded.until("a line about the other one", lambda: bool(said()))
        assert said() == [404]

    def test_it_says_why_somebody_was_refused(self, guarded: DataPlane) -> None:
        answer = request(guarded, "POST", PATH, OLD.token(sub="team-c"), content=_body(model=MODEL))
        assert answer.status_code == 403
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [
                line
                for line in gateway_lines(guarded)
                if (line["user_id"], line["path"]) == ("team-c", PATH) and line["status_code"] == 403
            ]
            return bool(found)

        guarded.until("a line about the refusal", there)
        assert found[-1]["reason"].startswith("rbac_access_denied")


def _preflight(plane: DataPlane, origin: str, path: str = PATH) -> httpx.Response:
    (url,) = plane.gateway_urls()
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": ",".join(("authorization", "content-type", *CLIENT_HEADERS)),
    }
    return httpx.options(f"{url}{path}", headers=headers, trust_env=False, timeout=30)


class TestNewKeys:
    """Last: what is above uses the old key alone."""

    def test_both_keys_are_good_while_one_replaces_the_other_and_then_the_new_one_alone(
        self, guarded: DataPlane
    ) -> None:
        assert _call(guarded, NEW.token()).status_code == 401
        outcomes: list[int] = []

        def asked(token: Callable[[], str]) -> int:
            outcomes.append(_call(guarded, token()).status_code)
            return outcomes[-1]

        guarded.stack("gateway", _sections(OLD, NEW)).up()
        guarded.until("the new key is good", lambda: _call(guarded, NEW.token()).status_code == 200)
        # From here on callers move over, one by one, and none of them is turned away.
        assert {asked(OLD.token) for _ in range(20)} | {asked(NEW.token) for _ in range(20)} == {200}
        guarded.stack("gateway", _sections(NEW)).up()
        guarded.until("the old key is refused", lambda: _call(guarded, OLD.token()).status_code == 401)
        assert {asked(NEW.token) for _ in range(20)} == {200}

    def test_policies_say_that_they_are_in_place(self, guarded: DataPlane) -> None:
        for kinds in KINDS:
            found = guarded.api.fetch(f"/apis/{OWN_API}/namespaces/{MODELS}/{kinds}")
            assert found is not None
            assert found["items"], kinds
            for policy in found["items"]:
                conditions = {
                    condition["type"]: condition["status"]
                    for ancestor in policy["status"]["ancestors"]
                    for condition in ancestor["conditions"]
                }
                assert "Accepted" in conditions or "Programmed" in conditions, policy["metadata"]["name"]
                assert "False" not in conditions.values(), (policy["metadata"]["name"], conditions)
