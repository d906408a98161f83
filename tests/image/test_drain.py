"""The end of a pod: readiness goes first, what runs is finished, what is new is sent elsewhere, and the process ends with 0."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from rehearsal.cpu_engine.process import Engine
from rehearsal.cpu_engine.tiny_models import TinyModels
from settings.models import Model
from tests.image.engine import running_pod

pytestmark = pytest.mark.image

TOKENS: Final = 1500
CHAT: Final = "/v1/chat/completions"


@pytest.fixture
def engine(chat_model: Model, tiny_models: TinyModels, tmp_path: Path) -> Iterator[Engine]:
    """One of its own: it does not outlive the test."""
    with running_pod(chat_model, tiny_models.chat, tmp_path / "engine.log") as found:
        yield found


def test_readiness_ends_before_the_port_and_a_running_stream_ends_whole(
    engine: Engine, chat_model: Model
) -> None:
    body: dict[str, Any] = {
        "model": chat_model.name,
        "messages": [{"role": "user", "content": "Go on."}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }
    seen: list[str] = []
    begun = threading.Event()

    def read() -> None:
        with engine.client() as client, client.stream("POST", CHAT, json=body) as answer:
            for line in answer.iter_lines():
                seen.append(line)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(30)
    with engine.client() as client:
        assert client.get("/health").status_code == 200
        engine.terminate()
        assert _status_until(client, 503)
        refused = client.post(CHAT, json={**body, "stream": False})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        # All of it while the stream still runs: else nothing was drained.
        assert reader.is_alive()
    reader.join(60)
    assert engine.wait() == 0
    events = [json.loads(line[6:]) for line in seen if line.startswith("data: {")]
    assert seen[-2:] == ["data: [DONE]", ""]
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    lines = [
        json.loads(line) for line in engine.log.read_text().splitlines() if line.startswith('{"timestamp"')
    ]
    assert {(line["status_code"], line["completion_tokens"]) for line in lines if line["stream"]} == {
        (200, TOKENS)
    }
    assert [line["status_code"] for line in lines if not line["stream"]] == [503]


def _status_until(client: httpx.Client, status: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if client.get("/health").status_code == status:
            return True
        time.sleep(0.01)
    return False
