"""LoRA adapters: small additions to a model's weights, each served under a name of its own, and what they take of a GPU."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.facts import ModelFacts
from settings.shapes import kv_heads_on_one
from settings.weights import ContainerPath

# What `vllm serve --max-lora-rank` takes (0.32); a test asks its parser.
RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# Adapters are kept in 16 bits, whatever the weights' quantization (`--lora-dtype auto`).
ADAPTER_BYTES: Final = 2
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise refusal(
            "not a name that clients and flags can write",
            "use letters, digits, '.', '_' and '-', at most 63, e.g. 'support-de'",
        )
    return value


def _path(value: str) -> str:
    if "," in value:
        raise refusal(
            "vLLM reads what follows as JSON where there is a comma",
            "use a path without a comma, e.g. '/opt/adapters/support-de'",
        )
    return value


def _rank(value: int) -> int:
    if value in RANKS:
        return value
    larger = next((rank for rank in RANKS if rank > value), RANKS[-1])
    raise refusal(
        f"vLLM takes the ranks {', '.join(map(str, RANKS))}",
        f"write {larger}: an adapter of a smaller rank fits into it",
    )


class Adapter(Section):
    """One adapter. name: what clients ask for as their model. path: its folder in the container. rank: `r` of its config, or more."""

    name: Annotated[str, AfterValidator(_name)]
    path: Annotated[ContainerPath, AfterValidator(_path)]
    rank: Annotated[int, Field(strict=True), AfterValidator(_rank)]


def largest_rank(adapters: Sequence[Adapter]) -> int:
    """Return the rank that the engine keeps room for."""
    return max((adapter.rank for adapter in adapters), default=0)


def adapter_bytes_on_one(facts: ModelFacts, adapters: Sequence[Adapter], parallel: int) -> int:
    """Return what the adapters take of one of `parallel` GPUs.

    vLLM keeps a place of the largest rank for each adapter in each linear layer, whatever the adapter changes: a matrix from the
    layer's width to the rank, and one from the rank to the layer's output. A layer that is cut by its output has the first on every GPU
    whole; one that is cut by its input the second.
    """
    hidden, slices = facts.hidden_size, facts.intermediate_size // parallel
    query = facts.attention_heads * facts.head_size // parallel
    key_value = kv_heads_on_one(facts, parallel) * facts.head_size
    attention = (hidden + query) + 2 * (hidden + key_value) + (query + hidden)
    feed_forward = 2 * (hidden + slices) + (slices + hidden)
    tables = 2 * (facts.vocabulary + hidden)
    per_rank = facts.layers * (attention + feed_forward) + tables
    return len(adapters) * largest_rank(adapters) * per_rank * ADAPTER_BYTES
