"""How the image's middleware comes and goes with its server: readiness, counters, what it says when it can not start."""

import asyncio
import gc
import json
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import REGISTRY
from vllm_platform_middleware import metrics
from vllm_platform_middleware.configuration import Configuration
from vllm_platform_middleware.draining import Draining
from vllm_platform_middleware.middleware import Middleware

from tests.unit.fake_engine import Client, Engine

pytestmark = pytest.mark.unit

BATCH: Final = 100
BYTES_EACH: Final = 20
"""A list with an entry a request would take more."""
CONFIGURATION: Final = Configuration(service="chat", model_version="1.2", metrics_port=0)


@pytest.fixture
def ending() -> Middleware:
    draining = Draining()
    draining.begun = True
    return Middleware(Engine(), CONFIGURATION, draining=draining)


class TestReadiness:
    @pytest.mark.parametrize("path", ["/health", "/ping"])
    def test_it_ends_with_the_signal(self, ending: Middleware, path: str) -> None:
        assert asyncio.run(Client(path=path, method="GET").call(ending)).status == 503

    def test_before_it_the_engine_answers(self) -> None:
        ready = Middleware(Engine(), CONFIGURATION)
        assert asyncio.run(Client(path="/health", method="GET").call(ready)).status == 200

    def test_a_new_request_is_sent_elsewhere(
        self, ending: Middleware, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer = asyncio.run(Client().call(ending))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["connection"] == "close"
        assert json.loads(capsys.readouterr().out)["status_code"] == 503

    def test_the_loop_s_own_handler_still_hears_the_signal(self, root: Path) -> None:
        """In a process of its own, as the server's: the signal is real."""
        program = textwrap.dedent("""
            import asyncio, os, signal
            from vllm_platform_middleware.draining import Draining

            async def main():
                heard = asyncio.Event()
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
                draining = Draining()
                draining.watch()
                assert not draining.begun
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(heard.wait(), 5)
                print("both" if draining.begun else "one")

            asyncio.run(main())
        """)
        done = _python(root, program)
        assert (done.stdout.strip(), done.returncode) == ("both", 0), done.stderr


class TestCounters:
    def test_requests_are_counted_by_answer_and_version(self) -> None:
        labels = {
            "model_name": "chat",
            "model_version": "1.2",
            "endpoint": "/v1/chat/completions",
            "status_code": "200",
            "stream": "true",
        }
        before = REGISTRY.get_sample_value("vllm_platform_requests_total", labels) or 0
        asyncio.run(Client().call(Middleware(Engine(), CONFIGURATION)))
        assert REGISTRY.get_sample_value("vllm_platform_requests_total", labels) == before + 1

    def test_who_left_is_counted(self) -> None:
        labels = {"model_name": "chat", "model_version": "1.2"}
        before = REGISTRY.get_sample_value("vllm_platform_client_disconnects_total", labels) or 0
        client = Client(leaves_after=1)
        asyncio.run(client.call(Middleware(Engine(tokens=["x"] * 20), CONFIGURATION)))
        assert REGISTRY.get_sample_value("vllm_platform_client_disconnects_total", labels) == before + 1

    def test_port_zero_is_no_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(metrics, "start_http_server")
        metrics.serve(CONFIGURATION)


def test_of_five_thousand_requests_nothing_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """A fifth of the clients leaves. Neither a task nor memory that grows with the number of requests."""

    async def serve(count: int) -> None:
        engine = Engine(tokens=["x"] * 20)
        middleware = Middleware(engine, CONFIGURATION)
        for start in range(0, count, BATCH):
            clients = (Client(leaves_after=5 if n % 5 == 0 else None) for n in range(start, start + BATCH))
            await asyncio.gather(*(client.call(middleware) for client in clients))
            engine.seen.clear()
            engine.ids.clear()
            lines = capsys.readouterr().out.splitlines()
            assert len(lines) == BATCH
            assert sum(json.loads(line)["client_disconnected"] for line in lines) == BATCH // 5
        assert asyncio.all_tasks() == {asyncio.current_task()}

    tracemalloc.start()
    try:
        asyncio.run(serve(1000))
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        asyncio.run(serve(5000))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < BYTES_EACH * 5000


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VP_METRICS_PORT", "many", "VP_METRICS_PORT: 'many' is not a port"),
        ("VP_FILTER_FILE", "/nowhere.json", "VP_FILTER_FILE: /nowhere.json can not be read"),
    ],
)
def test_a_server_that_is_told_nonsense_ends_with_a_sentence(
    root: Path, variable: str, value: str, said: str
) -> None:
    done = _python(root, "import vllm_platform_middleware", **{variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith("vllm_platform_middleware: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_taken_that_vllm_does_not_bring(root: Path) -> None:
    """Else the image would need packages of its own."""
    program = "import sys, vllm_platform_middleware; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(_python(root, program).stdout.split())
    foreign = {
        name for name in loaded if name in {"pydantic", "fastapi", "starlette", "yaml", "pulumi", "httpx"}
    }
    assert foreign == set()
    assert {"regex", "aiohttp", "prometheus_client"} <= loaded


def _python(root: Path, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(root / "docker" / "vllm"), "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
