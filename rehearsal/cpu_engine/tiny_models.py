"""Two models for the engine, made in a second from a seed: no network, no PyTorch, no trained tokenizer.

Both are Qwen2 with two layers, 256 wide: `chat` with a chat template, `embedding` with the pooling of
Qwen3-Embedding (last token, length 1). A token is one byte of UTF-8, so that a test can count tokens; the
template adds 8 characters and 2 markers to each message. At temperature 0 the chat model writes lower-case
letters without sense, the same for the same prompt, and never ends by itself: an answer has
exactly `max_tokens` tokens.
"""

import json
import math
import random
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HIDDEN: Final = 256
# The attention kernels for CPUs refuse 16.
HEAD: Final = 64
HEADS: Final = HIDDEN // HEAD
KV_HEADS: Final = 2
INTERMEDIATE: Final = 512
LAYERS: Final = 2
CONTEXT_TOKENS: Final = 8192
"""Longest context; no stack serves a longer one."""

END_OF_TEXT: Final = "<|endoftext|>"
START: Final = "<|im_start|>"
END: Final = "<|im_end|>"
SPECIAL: Final = (END_OF_TEXT, START, END)
BYTES: Final = 256
VOCABULARY: Final = BYTES + len(SPECIAL)
# What the chat model writes at temperature 0.
WRITTEN: Final = "abcdefghijklmnopqrstuvwxyz"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class TinyModels:
    """Folders as `vllm serve` takes them."""

    chat: Path
    embedding: Path


def make_tiny_models(folder: Path, seed: int = 0) -> TinyModels:
    """Write both models under `folder`, 2.6 MB each. The same seed gives the same bytes."""
    made = TinyModels(chat=folder / "chat", embedding=folder / "embedding")
    for path in (made.chat, made.embedding):
        path.mkdir(parents=True)
        _write(path / "config.json", _config())
        _write(path / "tokenizer.json", _tokenizer())
        _write_weights(path / "model.safetensors", random.Random(seed))  # noqa: S311 - noise, not a secret
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "model_max_length": CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
    }
    _write(made.chat / "tokenizer_config.json", settings | {"chat_template": CHAT_TEMPLATE})
    _write(made.embedding / "tokenizer_config.json", settings)
    _write_pooling(made.embedding)
    return made


def chat_prompt_tokens(*contents: str, role: str = "user") -> int:
    """Tokens of a conversation in which each message has this role, with what the template adds around them."""
    each = sum(len(f"{role}\n{content}\n".encode()) + 2 for content in contents)
    return each + len("assistant\n") + 1


def _config() -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT_TOKENS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": BYTES + SPECIAL.index(END),
        "pad_token_id": BYTES + SPECIAL.index(END_OF_TEXT),
        "dtype": "bfloat16",
    }


def _characters() -> list[str]:
    """Return the character by which byte-level tokenizers write each byte: GPT-2's table."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (chr(code) for code in range(256, 512))
    return [chr(byte) if byte in shown else next(others) for byte in range(256)]


def _tokenizer() -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    special = [
        {
            "id": BYTES + number,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, content in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {character: byte for byte, character in enumerate(_characters())},
            "merges": [],
        },
    }


def _write_pooling(path: Path) -> None:
    """Write what sentence-transformers, and vLLM with it, read about pooling."""
    package = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}.Normalize"},
    ]
    _write(path / "modules.json", modules)
    (path / "1_Pooling").mkdir()
    _write(
        path / "1_Pooling" / "config.json",
        {"word_embedding_dimension": HIDDEN, "pooling_mode_lasttoken": True},
    )


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def make_tiny_adapter(folder: Path, seed: int, rank: int) -> Path:
    """Write a LoRA adapter of the chat model, strong enough that it writes something else. Returns its folder."""
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 64, "bias": "none"}
    _write(folder / "adapter_config.json", config | {"target_modules": ["q_proj", "down_proj"]})
    noise = random.Random(seed)  # noqa: S311 - noise, not a secret
    layers = [
        (f"base_model.model.model.layers.{number}.{module}", wide, out)
        for number in range(LAYERS)
        for module, wide, out in (
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("mlp.down_proj", INTERMEDIATE, HIDDEN),
        )
    ]
    matrices = [
        (f"{layer}.lora_{side}.weight", shape)
        for layer, wide, out in layers
        for side, shape in (("A", [rank, wide]), ("B", [out, rank]))
    ]
    _write_tensors(
        folder / "adapter_model.safetensors",
        ((name, shape, _noise(name, shape, noise)) for name, shape in matrices),
    )
    return folder


def _write_weights(path: Path, noise: random.Random) -> None:
    _write_tensors(
        path,
        (
            (
                name,
                shape,
                _ones(shape[0]) if len(shape) == 1 and "norm" in name else _noise(name, shape, noise),
            )
            for name, shape in _tensors()
        ),
    )


def _write_tensors(path: Path, tensors: Iterable[tuple[str, list[int], bytes]]) -> None:
    """Write a safetensors file: length of the header, header, the tensors in the header's order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, shape, content in tensors:
        begin = len(data)
        data += content
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, len(data)]}
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    path.write_bytes(struct.pack("<Q", len(written)) + written + data)


def _tensors() -> Iterator[tuple[str, list[int]]]:
    kv = KV_HEADS * HEAD
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        yield f"{layer}.input_layernorm.weight", [HIDDEN]
        for letter, width in (("q", HIDDEN), ("k", kv), ("v", kv)):
            yield f"{layer}.self_attn.{letter}_proj.weight", [width, HIDDEN]
            yield f"{layer}.self_attn.{letter}_proj.bias", [width]
        yield f"{layer}.self_attn.o_proj.weight", [HIDDEN, HIDDEN]
        yield f"{layer}.post_attention_layernorm.weight", [HIDDEN]
        yield f"{layer}.mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{layer}.mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{layer}.mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
    yield "model.norm.weight", [HIDDEN]
    yield "lm_head.weight", [VOCABULARY, HIDDEN]


def _ones(count: int) -> bytes:
    return _bfloat16(array("f", [1.0] * count))


def _noise(name: str, shape: list[int], noise: random.Random) -> bytes:
    scale = 1 / math.sqrt(shape[-1])
    values = array("f", (noise.uniform(-scale, scale) for _ in range(math.prod(shape))))
    if name == "lm_head.weight":
        # Zero for every token that is never written: of 26 random logits the largest is above zero.
        for token in range(VOCABULARY):
            if token >= BYTES or chr(token) not in WRITTEN:
                values[token * HIDDEN : (token + 1) * HIDDEN] = array("f", bytes(4 * HIDDEN))
    return _bfloat16(values)


def _bfloat16(values: "array[float]") -> bytes:
    """Return the upper halves of the floats, which is bfloat16 rounded towards zero. Little-endian machines only."""
    whole = values.tobytes()
    halves = bytearray(len(whole) // 2)
    halves[0::2] = whole[2::4]
    halves[1::2] = whole[3::4]
    return bytes(halves)
