"""LoRA adapters on a real vLLM, on the CPU, with the flags of a pod: each is a model of its own name, beside the one that it changes."""

from pathlib import Path
from typing import Final

import httpx
import pytest

from components.engine_args import engine_args
from rehearsal.cpu_engine.process import running_engine
from rehearsal.cpu_engine.tiny_models import TinyModels, make_tiny_adapter
from settings.adapters import Adapter
from settings.models import Model
from tests.image.engine import environment_on_cpu, flags_on_cpu

pytestmark = pytest.mark.image

NAMES: Final = ("support-de", "sql_v1.2")
RANKS: Final = (16, 8)
TOKENS: Final = 24


def _written(client: httpx.Client, model: str) -> str:
    body = {"model": model, "prompt": "Tell me a secret.", "max_tokens": TOKENS, "temperature": 0}
    return client.post("/v1/completions", json=body).raise_for_status().json()["choices"][0]["text"]


def test_each_adapter_answers_under_its_name_and_leaves_the_others_alone(
    chat_model: Model, tiny_models: TinyModels, tmp_path: Path
) -> None:
    adapters = tuple(
        Adapter(name=name, path="/opt/adapters", rank=rank).model_copy(
            # The settings refuse folders below /tmp, where a pod has scratch.
            update={"path": str(make_tiny_adapter(tmp_path / name, seed, rank))}
        )
        for seed, (name, rank) in enumerate(zip(NAMES, RANKS, strict=True), start=1)
    )
    engine = chat_model.engine.model_copy(update={"adapters": adapters})
    model = chat_model.model_copy(update={"engine": engine})
    flags = flags_on_cpu(engine_args(model))
    with (
        running_engine(
            tiny_models.chat, flags, tmp_path / "engine.log", environment_on_cpu(model)
        ) as running,
        running.client() as client,
    ):
        listed = client.get("/v1/models").raise_for_status().json()["data"]
        assert [entry["id"] for entry in listed] == [model.name, *NAMES]
        assert {entry["parent"] for entry in listed} == {None, model.name}
        first = {name: _written(client, name) for name in (model.name, *NAMES)}
        assert all(len(text) == TOKENS for text in first.values())
        assert len(set(first.values())) == len(first)
        # In any order, and again.
        assert {name: _written(client, name) for name in reversed(first)} == first
        unknown = client.post("/v1/completions", json={"model": "other", "prompt": "x"})
        assert unknown.status_code == httpx.codes.NOT_FOUND
