"""What the benchmark of the middleware measures with: its server answers as it is asked, its client counts right."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from benchmarks.middleware import MIDDLEWARE, SERVER
from benchmarks.streams import load
from rehearsal.cpu_engine.process import VENV, Engine, python, starting
from rehearsal.errors import UserError
from tests.image.engine import Log

pytestmark = pytest.mark.image

STREAMS: Final = 5
EACH: Final = 2
TOKENS: Final = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    variables = {"PYTHONPATH": str(VENV.parent / "docker" / "vllm"), "VP_METRICS_PORT": "0"}
    command = [str(python()), str(SERVER), f"--middleware={MIDDLEWARE}"]
    with starting(command, tmp_path_factory.mktemp("paced") / "server.log", variables) as found:
        found.wait_until_healthy()
        yield found


def _body(**fields: object) -> dict[str, Any]:
    return {"messages": [], "max_tokens": TOKENS, "stream": True, **fields}


def _port(server: Engine) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.mark.parametrize("pace_ms", [0, 5])
def test_every_event_is_counted_by_both(server: Engine, pace_ms: int) -> None:
    log = Log(server)
    found = asyncio.run(load(_port(server), _body(pace_ms=pace_ms), streams=STREAMS, each=EACH))
    assert (found.answers, found.events) == (STREAMS * EACH, STREAMS * EACH * TOKENS)
    assert len(found.gaps) == STREAMS * EACH * (TOKENS - 1)
    lines = log.lines(STREAMS * EACH)
    assert {(line["completion_tokens"], line["finish_reason"], line["stream"]) for line in lines} == {
        (TOKENS, "length", True)
    }
    assert {line["user_id"] for line in lines} == {"benchmark"}


def test_a_whole_answer_has_no_events(server: Engine) -> None:
    log = Log(server)
    found = asyncio.run(load(_port(server), _body(stream=False), streams=STREAMS, each=EACH))
    assert (found.answers, found.events, len(found.totals)) == (STREAMS * EACH, 0, STREAMS * EACH)
    assert {line["completion_tokens"] for line in log.lines(STREAMS * EACH)} == {TOKENS}


def test_an_answer_that_is_none_is_told(server: Engine) -> None:
    with pytest.raises(UserError, match="500"):
        asyncio.run(load(_port(server), {"stream": True}, streams=1, each=1))
