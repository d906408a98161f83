"""The content filter of the image: every text of a request is read, refusals look like OpenAI's, the guard has its time."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vllm_platform_middleware import guard as guards
from vllm_platform_middleware.configuration import Configuration, ConfigurationError
from vllm_platform_middleware.content_filter import ContentFilter, Verdict, from_content, load
from vllm_platform_middleware.guard import Guard
from vllm_platform_middleware.middleware import Middleware
from vllm_platform_middleware.request_text import texts

from tests.unit.fake_engine import Answer, Client, Engine

pytestmark = pytest.mark.unit

CONFIGURATION: Final = Configuration(service="chat", metrics_port=0)
RULES: Final = {"rules": [{"name": "keys", "patterns": ["AKIA[0-9A-Z]{16}"], "words": ["project x"]}]}
KEY: Final = "AKIAABCDEFGHIJKLMNOP"


def _judge(content_filter: ContentFilter, body: object) -> Verdict | None:
    return asyncio.run(content_filter.of_body(json.dumps(body).encode()))


PLACES: Final[dict[str, Callable[[str], Any]]] = {
    "a message": lambda text: {"messages": [{"role": "user", "content": text}]},
    "a part": lambda text: {"messages": [{"content": [{"type": "text", "text": text}]}]},
    "two parts": lambda text: {"messages": [{"content": [{"text": text[:8]}, {"text": text[8:]}]}]},
    "the system's word": lambda text: {"system": text},
    "instructions": lambda text: {"instructions": text, "input": []},
    "a prompt": lambda text: {"prompt": text},
    "one of many prompts": lambda text: {"prompt": ["fine", text]},
    "an input": lambda text: {"input": [text, "fine"]},
    "a tool's call": lambda text: {"messages": [{"tool_calls": [{"function": {"arguments": text}}]}]},
    "a tool's description": lambda text: {"tools": [{"function": {"description": text}}]},
    "a name of a field": lambda text: {"metadata": {text: 1}},
    "documents": lambda text: {"documents": [{"title": "t", "body": text}]},
    "a field that no API has yet": lambda text: {"later": {"deep": [[text]]}},
}


class TestRules:
    @pytest.mark.parametrize("place", PLACES)
    def test_a_text_is_found_wherever_it_stands(self, place: str) -> None:
        verdict = _judge(from_content(RULES), PLACES[place](f"take {KEY} there"))
        assert verdict is not None
        assert verdict.rule == "keys"

    @pytest.mark.parametrize("place", PLACES)
    def test_what_no_rule_finds_passes(self, place: str) -> None:
        assert _judge(from_content(RULES), PLACES[place]("an innocent question")) is None

    def test_words_are_whole_and_of_any_case(self) -> None:
        content_filter = from_content(RULES)
        assert _judge(content_filter, {"prompt": "what is Project X?"}) is not None
        assert _judge(content_filter, {"prompt": "what is projectX?"}) is None

    def test_pictures_are_no_text(self) -> None:
        url = {"image_url": {"url": f"data:image/png;base64,{KEY}"}}
        assert _judge(from_content(RULES), {"messages": [{"content": [url]}]}) is None

    def test_numbers_of_tokens_are_no_way_around(self) -> None:
        for body in ({"prompt": [1, 2, 3]}, {"prompt": [[1], [2]]}, {"input": [7]}):
            verdict = _judge(from_content(RULES), body)
            assert verdict is not None
            assert verdict.rule == "token-prompt"

    def test_all_text_together_has_a_length(self) -> None:
        content_filter = from_content({"max_characters": 20})
        assert _judge(content_filter, {"prompt": "x" * 14}) is None
        verdict = _judge(content_filter, {"prompt": "x" * 15})
        assert verdict is not None
        assert "20 characters" in verdict.refusal.message

    def test_a_text_that_was_written_to_take_long_is_refused(self) -> None:
        content_filter = from_content(
            {"rules": [{"name": "slow", "patterns": ["(a.*b.*c.*d.*e.*f.*g.*)+z"]}]}
        )
        assert _judge(content_filter, {"prompt": "abcdefg"}) is None
        assert _judge(content_filter, {"prompt": "abcdefg" * 300 + "y"}) is not None

    @pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff"])
    def test_what_is_no_json_is_the_engine_s_to_refuse(self, body: bytes) -> None:
        assert asyncio.run(from_content(RULES).of_body(body)) is None

    @given(
        st.recursive(
            st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
        )
    )
    def test_every_string_is_read(self, body: Any) -> None:  # noqa: ANN401 - JSON values
        found = set(texts(body))
        assert {text for text in _strings(body) if not text.startswith("data:")} <= found | {""}


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON values
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in {"model", "encoding_format", "service_tier", "user", "safety_identifier"}:
                yield from _strings(item)


class TestExchange:
    def _call(self, content_filter: ContentFilter, engine: Engine, client: Client) -> Answer:
        return asyncio.run(client.call(Middleware(engine, CONFIGURATION, content_filter)))

    def test_a_refusal_is_an_error_of_openai_and_the_engine_hears_nothing(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine = Engine()
        answer = self._call(from_content(RULES), engine, Client(body=json.dumps({"prompt": KEY}).encode()))
        assert answer.status == 400
        assert answer.json["error"]["code"] == "content_filter"
        assert set(answer.json["error"]) == {"message", "type", "param", "code"}
        assert engine.seen == []
        printed = capsys.readouterr().out
        assert json.loads(printed)["refused_by"] == "keys"
        assert KEY not in printed + answer.body.decode()

    def test_of_anthropic_s_api_it_has_its_form(self) -> None:
        client = Client(path="/v1/messages", body=json.dumps({"system": KEY}).encode())
        assert self._call(from_content(RULES), Engine(), client).json["type"] == "error"

    def test_what_passes_reaches_the_engine_as_it_was(self) -> None:
        engine = Engine()
        answer = self._call(from_content(RULES), engine, Client(body=[b'{"prompt":', b' "fine"}']))
        assert (answer.status, engine.seen) == (200, [b'{"prompt": "fine"}'])

    def test_a_request_that_is_too_large_to_be_read_is_refused(self) -> None:
        content_filter = from_content({"max_body_bytes": 100})
        answer = self._call(content_filter, Engine(), Client(body=[b"x" * 60, b"x" * 60]))
        assert answer.status == 413

    def test_a_client_that_leaves_is_still_noticed(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._call(from_content(RULES), Engine(tokens=["x"] * 50), Client(leaves_after=2))
        assert json.loads(capsys.readouterr().out)["client_disconnected"] is True


class TestGuard:
    """The model's side is played: its words are what matters here."""

    GUARD: Final = Guard(url="http://guard:8000", model="guard", budget_ms=50)

    @pytest.mark.parametrize(
        ("said", "refuse", "allowed"),
        [
            ("Safety: Safe\nCategories: None", {"unsafe"}, True),
            ("Safety: Unsafe\nCategories: Violent", {"unsafe"}, False),
            ("Safety: Controversial\nCategories: x", {"unsafe"}, True),
            ("Safety: Controversial\nCategories: x", {"unsafe", "controversial"}, False),
            ("I can not tell", {"unsafe"}, False),
            (None, {"unsafe"}, False),
        ],
    )
    def test_its_word_decides(
        self, monkeypatch: pytest.MonkeyPatch, said: str | None, refuse: set[str], *, allowed: bool
    ) -> None:
        _answers(monkeypatch, {"choices": [{"message": {"content": said}}]})
        guard = Guard(url="http://guard:8000", model="guard", refuse=frozenset(refuse))
        assert asyncio.run(guard.allows("text")) is allowed

    @pytest.mark.parametrize("fail_open", [True, False])
    @pytest.mark.parametrize("how", ["slow", "refused", "nonsense", "status"])
    def test_without_a_word_in_time_the_setting_decides(
        self, monkeypatch: pytest.MonkeyPatch, how: str, *, fail_open: bool
    ) -> None:
        failures: dict[str, Any] = {
            "slow": asyncio.sleep,
            "refused": ConnectionRefusedError("no"),
            "nonsense": {"choices": []},
            "status": aiohttp.ClientError("500"),
        }
        _answers(monkeypatch, failures[how])
        guard = Guard(url="http://guard:8000", model="guard", budget_ms=50, fail_open=fail_open)
        assert asyncio.run(guard.allows("text")) is fail_open

    def test_it_is_asked_after_the_rules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _answers(monkeypatch, {"choices": [{"message": {"content": "Safety: Unsafe"}}]})
        content_filter = from_content({**RULES, "guard": {"url": "http://guard:8000", "model": "guard"}})
        verdicts = [_judge(content_filter, {"prompt": text}) for text in (KEY, "fine")]
        assert [verdict.rule for verdict in verdicts if verdict] == ["keys", "guard"]


def _answers(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:  # noqa: ANN401 - JSON, an error or a wait
    class Response:
        async def __aenter__(self) -> Self:
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                await cast("Callable[[float], Awaitable[None]]", answer)(5)
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        def raise_for_status(self) -> None:
            return None

        async def json(self) -> Any:  # noqa: ANN401
            return answer

    class Session:
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        def post(self, url: str, json: Any) -> Response:  # noqa: ANN401
            assert url == "http://guard:8000/v1/chat/completions"
            assert json["messages"][0]["role"] == "user"
            return Response()

    monkeypatch.setattr(guards.aiohttp, "ClientSession", Session)


BROKEN: Final[dict[str, tuple[Any, str]]] = {
    "no mapping": ([], "must be a mapping"),
    "an unknown key": ({"rule": []}, "unknown rule"),
    "rules as a mapping": ({"rules": {}}, "must be a list"),
    "a rule without a name": ({"rules": [{"words": ["x"]}]}, "needs a name"),
    "a rule without anything": ({"rules": [{"name": "x"}]}, "neither"),
    "a pattern that is none": ({"rules": [{"name": "x", "patterns": ["("]}]}, "rule x"),
    "words as a text": ({"rules": [{"name": "x", "words": "y"}]}, "list of texts"),
    "a length in words": ({"max_characters": "many"}, "whole number"),
    "a guard as a text": ({"guard": "http://guard"}, "`guard`"),
    "a guard without an address": ({"guard": {"model": "g"}}, "guard.url"),
    "a guard without a model": ({"guard": {"url": "http://g"}}, "guard.model"),
    "a guard without time": ({"guard": {"url": "http://g", "model": "g", "budget_ms": 0}}, "budget_ms"),
    "a guard that may be open": ({"guard": {"url": "http://g", "model": "g", "fail_open": 1}}, "fail_open"),
    "a guard that refuses what is safe": (
        {"guard": {"url": "http://g", "model": "g", "refuse": ["safe"]}},
        "refuse",
    ),
}


class TestFile:
    def test_no_file_is_no_filter(self) -> None:
        assert load(None) is None

    @pytest.mark.parametrize("case", BROKEN)
    def test_what_can_not_be_used_is_told(self, case: str, tmp_path: Path) -> None:
        content, said = BROKEN[case]
        file = tmp_path / "filter.json"
        file.write_text(json.dumps(content))
        with pytest.raises(ConfigurationError, match=said):
            load(file)

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="can not be read"):
            load(tmp_path / "none")
