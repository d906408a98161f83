"""The script that reads which model a body names, in LuaJIT, which is what Envoy has. Over the wire it is in `tests/gateway/test_tokens.py`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from lupa.luajit21 import LuaRuntime

pytestmark = pytest.mark.unit

SCRIPT: Final = Path(__file__).resolve().parents[2] / "components" / "body_model.lua"
HANDLE: Final = """
return function(run, body)
  local set = {}
  local headers = {
    get = function() return "POST" end,
    remove = function() end,
    replace = function(_, name, value) set[name] = value end,
  }
  run({
    headers = function() return headers end,
    body = function() return { length = function() return #body end, getBytes = function() return body end } end,
    clearRouteCache = function() end,
  })
  return set["x-vp-model"]
end
"""
# As many as Envoy may be asked to look at in one request.
MARKS: Final = 2_000_000


@pytest.fixture(scope="module")
def named() -> Callable[[str], str | None]:
    """What the header says after a body."""
    lua: Any = LuaRuntime()
    lua.execute(SCRIPT.read_text())
    ask = lua.execute(HANDLE)
    run = lua.globals().envoy_on_request
    return lambda body: ask(run, body)


@pytest.mark.parametrize(
    "before",
    [
        {},
        {"messages": [{"role": "user", "content": 'say "model": "other"'}]},
        {"metadata": {"model": "other"}, "stop": ["model", "other"]},
        {"prompt": [[1, 2, 3], [4]], "n": 1, "stream": True, "user": None},
        {"prompt": 'a \\ and a " and \\" and model'},
    ],
)
def test_it_is_that_of_the_outermost_object(
    named: Callable[[str], str | None], before: dict[str, Any]
) -> None:
    assert named(json.dumps({**before, "model": "chat-7b"})) == "chat-7b"
    assert named(json.dumps({"model": "chat-7b", **before})) == "chat-7b"
    assert named(json.dumps({**before, "model": "chat-7b"}, indent=2)) == "chat-7b"
    assert named(json.dumps(before)) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "model",
        '["model", "a"]',
        '{"model": "a b"}',
        '{"model": "a\\u0062"}',
        '{"model": ["a"]}',
        '{"model": 7}',
        '{"model": "a',
        '{"model": "' + 129 * "a" + '"}',
    ],
)
def test_what_names_no_model_plainly_names_none(named: Callable[[str], str | None], body: str) -> None:
    assert named(body) is None


def test_a_long_list_of_tokens_and_a_long_text_are_no_reason_to_give_up(
    named: Callable[[str], str | None],
) -> None:
    assert named(json.dumps({"prompt": list(range(MARKS + 10)), "model": "chat-7b"})) == "chat-7b"
    assert named(json.dumps({"prompt": '"' * (MARKS // 2), "model": "chat-7b"})) == "chat-7b"


@pytest.mark.parametrize("filler", ['{"x":' + "[" * (MARKS + 10), '{"x": "' + '\\"' * (MARKS + 10) + '"'])
def test_what_is_made_to_keep_a_proxy_busy_is_given_up(
    named: Callable[[str], str | None], filler: str
) -> None:
    body = filler + ("]" * filler.count("[")) + ', "model": "chat-7b"}'
    assert named(body) is None
