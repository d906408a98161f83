"""Engines that the tests of the image share. A start takes half a minute, so each model has one for the whole session."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from components.engine_args import engine_args
from rehearsal.cpu_engine.process import NO_NUMA, Engine, can_run, free_port, running_engine
from rehearsal.cpu_engine.tiny_models import TinyModels, make_tiny_models
from settings import Settings
from settings.models import Model
from tests.image.engine import environment_on_cpu, flags_on_cpu, running_pod

HERE: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what starts vLLM where it could not run. Builds, in a folder of their own, need none."""
    for item in items:
        if item.path.parent == HERE and not can_run():
            item.add_marker(pytest.mark.skip(NO_NUMA))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """A chat model and an embedding model in folders of their own."""
    return make_tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def chat_model(local: Settings) -> Model:
    """The stack's model that the engine plays."""
    return next(model for model in local.models if model.task == "generate")


@pytest.fixture(scope="session")
def embedding_model(local: Settings) -> Model:
    """The stack's embedding model."""
    return next(model for model in local.models if model.task == "embed")


@pytest.fixture(scope="session")
def chat_engine(
    chat_model: Model, tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The stack's chat model with tiny weights and the flags and variables of its pod, but vLLM alone. Tests leave it running."""
    log = tmp_path_factory.mktemp("chat") / "engine.log"
    with running_engine(
        tiny_models.chat, flags_on_cpu(engine_args(chat_model)), log, environment_on_cpu(chat_model)
    ) as engine:
        yield engine


@dataclass(frozen=True, kw_only=True)
class PodEngine:
    """An engine with the image's middleware, and where that serves /metrics."""

    engine: Engine
    metrics_url: str


@pytest.fixture(scope="session")
def pod_engine(
    chat_model: Model, tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodEngine]:
    """As `chat_engine`, with the middleware of the image."""
    log = tmp_path_factory.mktemp("pod") / "engine.log"
    port = free_port()
    with running_pod(chat_model, tiny_models.chat, log, metrics_port=port) as engine:
        yield PodEngine(engine=engine, metrics_url=f"http://127.0.0.1:{port}/metrics")


@pytest.fixture
def chat(chat_engine: Engine) -> Iterator[httpx.Client]:
    """A client of the chat engine."""
    with chat_engine.client() as client:
        yield client


@pytest.fixture
def engine_log(tmp_path: Path) -> Path:
    """Where a test's own engine writes."""
    return tmp_path / "engine.log"
