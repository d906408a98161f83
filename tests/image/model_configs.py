"""The config.json of models, as far as vLLM needs it to build them: made of their facts, so it says nothing of the facts themselves."""

from collections.abc import Mapping
from typing import Any, Final

from settings.facts import ModelFacts, models

# By the beginning of a model's name, the longest first: architecture, model type.
_FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "Qwen/Qwen3-235B-": ("Qwen3MoeForCausalLM", "qwen3_moe"),
    "Qwen/Qwen3-30B-": ("Qwen3MoeForCausalLM", "qwen3_moe"),
    "Qwen/Qwen2.5-": ("Qwen2ForCausalLM", "qwen2"),
    "Qwen/Qwen3": ("Qwen3ForCausalLM", "qwen3"),
    "mistralai/Mixtral-": ("MixtralForCausalLM", "mixtral"),
    "mistralai/Mistral-": ("MistralForCausalLM", "mistral"),
    "solidrust/Mistral-": ("MistralForCausalLM", "mistral"),
    "hugging-quants/Meta-Llama-": ("LlamaForCausalLM", "llama"),
    "meta-llama/Llama-": ("LlamaForCausalLM", "llama"),
}
_OF_TYPE: Final[Mapping[str, Mapping[str, Any]]] = {
    "qwen3_moe": {"decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": True},
    "mixtral": {"sliding_window": None},
    "mistral": {"sliding_window": None},
}


def config_of(name: str) -> dict[str, Any]:
    """Return the config.json of a model with facts. Raises StopIteration for a family that is not known here."""
    facts = models()[name]
    architecture, kind = next(family for begin, family in _FAMILIES.items() if name.startswith(begin))
    return {
        "architectures": [architecture],
        "model_type": kind,
        "num_hidden_layers": facts.layers,
        "num_attention_heads": facts.attention_heads,
        "num_key_value_heads": facts.kv_heads,
        "head_dim": facts.head_size,
        "hidden_size": facts.hidden_size,
        # Mixtral calls an expert's width so.
        "intermediate_size": facts.intermediate_size or facts.expert_size,
        "vocab_size": facts.vocabulary,
        "max_position_embeddings": facts.max_positions,
        "torch_dtype": facts.dtype,
        "tie_word_embeddings": facts.tied_embeddings,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        **_OF_TYPE.get(kind, {}),
        **_experts(facts, kind),
        **_quantization(facts),
    }


def _experts(facts: ModelFacts, kind: str) -> dict[str, Any]:
    if not facts.experts:
        return {}
    count = "num_local_experts" if kind == "mixtral" else "num_experts"
    return {
        count: facts.experts,
        "num_experts_per_tok": facts.experts_per_token,
        "moe_intermediate_size": facts.expert_size,
    }


def _quantization(facts: ModelFacts) -> dict[str, Any]:
    if facts.quantization == "none":
        return {}
    common = {"quant_method": facts.quantization, "bits": 4, "group_size": facts.group_size}
    # Routers are left in 16 bits; for vLLM, which can not look into the weight files here, it stands written.
    unquantized: dict[str, Any] = {r"-:.*mlp\.gate$": {}}
    own: dict[str, Any] = (
        {"version": "gemm", "zero_point": True}
        if facts.quantization == "awq"
        else {"desc_act": False, "sym": True, "lm_head": False, "dynamic": unquantized}
    )
    return {"quantization_config": {**common, **own}}
