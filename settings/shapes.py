"""How weights divide over the GPUs of a replica: the bytes of each part on one GPU, from the shapes in its config.json."""

from dataclasses import dataclass
from typing import Final

from settings.facts import ModelFacts

PLAIN_BYTES: Final = 2
# What each quantization keeps of one weight, and of one group of them (a scale, a zero point), in bytes.
WEIGHT_BYTES: Final = {"none": 2.0, "fp8": 1.0, "awq": 0.5, "gptq": 0.5}
GROUP_BYTES: Final = {"none": 0.0, "fp8": 0.0, "awq": 2.5, "gptq": 2.5}
# Tensor parallel sizes that are worth proposing: nodes have 1, 4 or 8 GPUs.
SPLITS: Final = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Bytes of a model's weights on one GPU. Norms and biases are left out: less than 0.1 %."""

    attention: int
    feed_forward: int
    experts: int
    routers: int
    embeddings: int

    @property
    def total(self) -> int:
        """All parts."""
        return self.attention + self.feed_forward + self.experts + self.routers + self.embeddings


def kv_heads_on_one(facts: ModelFacts, parallel: int) -> int:
    """Return the KV heads of one GPU. A head is never split: GPUs beyond their number hold copies."""
    return max(1, facts.kv_heads // parallel)


def parts_on_one(facts: ModelFacts, parallel: int, *, whole_experts: bool = False) -> Parts:
    """Return what one of `parallel` GPUs holds.

    whole_experts: experts are dealt out whole (expert parallel) and not each cut into slices (tensor parallel).
    """
    hidden = facts.hidden_size
    query = facts.attention_heads * facts.head_size // parallel
    key_value = 2 * kv_heads_on_one(facts, parallel) * facts.head_size
    # Query, key and value, and the way back of the query's width.
    attention = _linear(facts, hidden * (2 * query + key_value))
    experts = -(-facts.experts // parallel) if whole_experts else facts.experts
    width = facts.expert_size if whole_experts else facts.expert_size // parallel
    tables = 1 if facts.tied_embeddings else 2
    return Parts(
        attention=facts.layers * attention,
        feed_forward=facts.layers * _linear(facts, 3 * hidden * (facts.intermediate_size // parallel)),
        experts=facts.layers * experts * _linear(facts, 3 * hidden * width, _group_in(facts, width)),
        # Each GPU chooses the experts of every token by itself.
        routers=facts.layers * hidden * facts.experts * PLAIN_BYTES,
        embeddings=tables * facts.vocabulary * hidden * PLAIN_BYTES // parallel,
    )


def weights_on_one(facts: ModelFacts, parallel: int, *, whole_experts: bool = False) -> int:
    """Return the bytes of the weight files that one GPU holds: what is copied to every GPU counts on each."""
    part = parts_on_one(facts, parallel, whole_experts=whole_experts).total
    return -(-facts.weight_bytes * part // parts_on_one(facts, 1).total)


def cannot_deal_out(facts: ModelFacts, parallel: int) -> str | None:
    """Say why a model can not be cut into so many parts, or nothing."""
    whole = facts.kv_heads % parallel == 0 or parallel % facts.kv_heads == 0
    if facts.attention_heads % parallel or not whole:
        return f"{facts.attention_heads} attention heads and {facts.kv_heads} KV heads can not be dealt out to {parallel} GPUs"
    widths = (facts.attention_heads * facts.head_size, facts.intermediate_size)
    cut = next((width for width in widths if not _whole_groups(facts, width, parallel)), None)
    if cut is not None:
        return f"{cut:,} quantized weights of a row can not be dealt out to {parallel} GPUs in whole groups of {facts.group_size}"
    return None


def deals_experts_unevenly(facts: ModelFacts, parallel: int) -> str | None:
    """Say why whole experts can not be dealt out evenly, or nothing: every token waits for the GPU that has most."""
    if facts.experts % parallel == 0:
        return None
    return f"{facts.experts} experts can not be dealt out evenly to {parallel} GPUs"


def experts_keep_groups(facts: ModelFacts, parallel: int) -> bool:
    """Tell whether slices of experts are whole groups; else vLLM takes a slower kernel."""
    return _whole_groups(facts, facts.expert_size, parallel)


def splits_up_to(facts: ModelFacts, gpus: int) -> list[int]:
    """Return the tensor parallel sizes that a node of so many GPUs can run."""
    return [size for size in SPLITS if size <= gpus and cannot_deal_out(facts, size) is None]


def _whole_groups(facts: ModelFacts, width: int, parallel: int) -> bool:
    return not facts.group_size or width % (parallel * facts.group_size) == 0


def _group_in(facts: ModelFacts, width: int) -> int:
    """Return how many weights of a slice of an expert share a scale: vLLM halves groups until they are whole."""
    group = facts.group_size
    while group and width % group:
        group //= 2
    return group


def _linear(facts: ModelFacts, weights: int, group: int | None = None) -> int:
    """Return the bytes of linear layers with so many weights, of which groups of `group` share a scale."""
    size = facts.group_size if group is None else group
    groups = weights / size if size else 0
    return int(weights * WEIGHT_BYTES[facts.quantization] + groups * GROUP_BYTES[facts.quantization])
