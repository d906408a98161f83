"""Does a model fit into one GPU's memory? Arithmetic that the table, the refusal and a reader can follow.

vLLM takes `gpu_memory_utilization` of a GPU, loads the weights, keeps room for a forward pass, and pages the
rest out as KV cache. It starts with any KV cache that holds one request of full length, and lets requests
wait, or recompute, when the pages run out. What is checked here is a promise: `max_num_seqs` requests run at
once, each `max_model_len` tokens long.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from settings.adapters import adapter_bytes_on_one
from settings.engine import Engine
from settings.facts import GpuFacts, ModelFacts
from settings.scalars import MIB
from settings.shapes import kv_heads_on_one, weights_on_one

# Keys and values are kept in 16 bits, whatever the weights' quantization (`kv_cache_dtype: auto`).
KV_BYTES: Final = 2
# The KV cache is dealt out in blocks of so many tokens (vLLM's default on NVIDIA GPUs), and one block is never given out.
BLOCK_TOKENS: Final = 16
RESERVED_BLOCKS: Final = 1
# CUDA context, cuBLAS workspaces, the allocator's slack: 0.2 to 0.6 GiB in vLLM's profiles of 24 GB GPUs.
CONTEXT_MIB: Final = 512
# CUDA graphs, captured after the KV cache is laid out: vLLM prints 0.5 to 1 GiB for its default batch sizes.
GRAPHS_MIB: Final = 1024
# NCCL's and the custom all-reduce's buffers, only with several GPUs: 1.8 GiB more in vLLM's profile of two
# H100 (PR 10511), 0.6 GiB on GPUs without NVSwitch multicast; an A100 has none.
COLLECTIVES_MIB: Final = 1024
# A forward pass over the most tokens that vLLM batches by default (8,192 on an H100, 2,048 on the others), with about 20
# times the hidden size alive at its peak (gate and up projection, their product, residual, attention): 1.26 GiB measured
# for Llama 3 8B (PR 10511), 1.25 GiB by this rule.
BATCHED_TOKENS: Final = 8192
LIVE_PER_HIDDEN: Final = 20
ACTIVATION_BYTES: Final = 2
# After it, the choice of the next tokens: for each request and word of the vocabulary logits, a sorted copy, its order in
# 8 bytes, probabilities and their sums.
SAMPLING_BYTES: Final = 24


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """What is neither weights nor KV cache, on one GPU, in MiB."""

    context_mib: int
    graphs_mib: int
    forward_mib: int
    collectives_mib: int
    adapters_mib: int

    @property
    def total_mib(self) -> int:
        """All of it."""
        return (
            self.context_mib + self.graphs_mib + self.forward_mib + self.collectives_mib + self.adapters_mib
        )


@dataclass(frozen=True, kw_only=True)
class MemoryFit:
    """Memory of one GPU, in MiB.

    budget_mib: what the engine may take. headroom_mib: what is left of it; below 0 the model does not fit.
    kv_heads: KV heads of one GPU. kv_token_bytes: KV cache of one token on one GPU.
    request_blocks: blocks of BLOCK_TOKENS tokens that a request of full length takes.
    most_sequences: the largest `max_num_seqs` at the asked length; 0 where not even one request fits.
    longest_context: the largest `max_model_len` at the asked concurrency; 0 where the weights do not fit.
    """

    gpu_mib: int
    budget_mib: int
    weights_mib: int
    kv_mib: int
    kv_heads: int
    kv_token_bytes: int
    request_blocks: int
    overhead: Overhead
    most_sequences: int
    longest_context: int

    @property
    def overhead_mib(self) -> int:
        """What is neither weights nor KV cache."""
        return self.overhead.total_mib

    @property
    def total_mib(self) -> int:
        """What the promise needs."""
        return self.weights_mib + self.kv_mib + self.overhead_mib

    @property
    def headroom_mib(self) -> int:
        """What is left of the budget."""
        return self.budget_mib - self.total_mib

    @property
    def fits(self) -> bool:
        """Whether the promise can be kept."""
        return self.headroom_mib >= 0

    def __str__(self) -> str:
        """The sum in one line."""
        parts = f"weights {self.weights_mib:,} + KV cache {self.kv_mib:,} + overhead {self.overhead_mib:,}"
        return f"{parts} = {self.total_mib:,} MiB of {self.budget_mib:,} MiB a GPU"


def memory_fit(model: ModelFacts, engine: Engine, gpu: GpuFacts) -> MemoryFit:
    """Add up one GPU's memory for a model under an engine's settings."""
    parallel = engine.tensor_parallel_size
    heads = kv_heads_on_one(model, parallel)
    token_bytes = 2 * model.layers * heads * model.head_size * KV_BYTES
    block_bytes = token_bytes * BLOCK_TOKENS
    request_blocks = -(-engine.max_model_len // BLOCK_TOKENS)
    weights = -(-weights_on_one(model, parallel, whole_experts=engine.enable_expert_parallel) // MIB)
    budget = int(gpu.cuda_mib * engine.gpu_memory_utilization)

    def room(requests: int) -> int:
        """Blocks that so many requests at once can have."""
        left = budget - weights - overhead_of(model, engine, requests).total_mib
        return max(0, max(0, left) * MIB // block_bytes - RESERVED_BLOCKS)

    requests = engine.max_num_seqs
    return MemoryFit(
        gpu_mib=gpu.memory_mib,
        budget_mib=budget,
        weights_mib=weights,
        kv_mib=-(-block_bytes * (request_blocks * requests + RESERVED_BLOCKS) // MIB),
        kv_heads=heads,
        kv_token_bytes=token_bytes,
        request_blocks=request_blocks,
        overhead=overhead_of(model, engine, requests),
        # The room shrinks with every request, so it holds fewer than one request alone would leave for.
        most_sequences=bisect_left(
            range(1, room(1) // request_blocks + 1), 1, key=lambda count: count * request_blocks > room(count)
        ),
        longest_context=min(model.max_positions, room(requests) // requests * BLOCK_TOKENS),
    )


def overhead_of(model: ModelFacts, engine: Engine, requests: int) -> Overhead:
    """Add up what is neither weights nor KV cache, on one GPU of a replica with so many requests at once."""
    parallel = engine.tensor_parallel_size
    activations = BATCHED_TOKENS * model.hidden_size * LIVE_PER_HIDDEN * ACTIVATION_BYTES
    sampling = requests * model.vocabulary * SAMPLING_BYTES if "generate" in model.tasks else 0
    return Overhead(
        context_mib=CONTEXT_MIB,
        graphs_mib=GRAPHS_MIB,
        forward_mib=max(activations, sampling) // MIB,
        collectives_mib=COLLECTIVES_MIB if parallel > 1 else 0,
        adapters_mib=-(-adapter_bytes_on_one(model, engine.adapters, parallel) // MIB),
    )
