"""Does a model fit into one GPU's memory? Arithmetic that the table, the refusal and a reader can follow.

vLLM takes `gpu_memory_utilization` of a GPU, loads the weights, keeps room for a forward pass, and pages the
rest out as KV cache. It starts with any KV cache that holds one request of full length, and lets requests
wait, or recompute, when the pages run out. What is checked here is a promise: `max_num_seqs` requests run at
once, each `max_model_len` tokens long.
"""

from dataclasses import dataclass
from typing import Final

from settings.engine import Engine
from settings.facts import GpuFacts, ModelFacts
from settings.scalars import MIB

# Keys and values are kept in 16 bits, whatever the weights' quantization (`kv_cache_dtype: auto`).
KV_BYTES: Final = 2
# CUDA context, cuBLAS workspaces, the allocator's slack: 0.2 to 0.6 GiB in vLLM's profiles of 24 GB GPUs.
CONTEXT_MIB: Final = 512
# CUDA graphs, captured after the KV cache is laid out: vLLM prints 0.5 to 1 GiB for its default batch sizes.
GRAPHS_MIB: Final = 1024
# NCCL's and the custom all-reduce's buffers, only with several GPUs: 1.8 GiB more in vLLM's profile of two
# H100 (PR 10511), 0.6 GiB on GPUs without NVSwitch multicast; an A100 has none.
COLLECTIVES_MIB: Final = 1024
# A forward pass over the most tokens that vLLM batches by default, with about 20 times the hidden size alive
# at its peak (gate and up projection, their product, residual, attention): 1.26 GiB measured for Llama 3 8B
# (PR 10511), 1.25 GiB by this rule.
BATCHED_TOKENS: Final = 8192
LIVE_PER_HIDDEN: Final = 20
ACTIVATION_BYTES: Final = 2


@dataclass(frozen=True, kw_only=True)
class MemoryFit:
    """Memory of one GPU, in MiB.

    budget_mib: what the engine may take. headroom_mib: what is left of it; below 0 the model does not fit.
    kv_mib_per_1k_tokens: KV cache of 1,024 tokens on one GPU.
    most_sequences: the largest `max_num_seqs` at the asked length; 0 where not even one request fits.
    longest_context: the largest `max_model_len` at the asked concurrency; 0 where the weights do not fit.
    """

    gpu_mib: int
    budget_mib: int
    weights_mib: int
    kv_mib: int
    kv_mib_per_1k_tokens: float
    overhead_mib: int
    most_sequences: int
    longest_context: int

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
    # A KV head is never split: with more GPUs than KV heads, each GPU holds a copy of one.
    heads_per_gpu = max(1, -(-model.kv_heads // parallel))
    token_bytes = 2 * model.layers * heads_per_gpu * model.head_size * KV_BYTES
    sequence_bytes = token_bytes * engine.max_model_len
    weights = -(-model.weight_bytes // (parallel * MIB))
    overhead = overhead_mib(model, parallel)
    budget = int(gpu.cuda_mib * engine.gpu_memory_utilization)
    kv_room = max(0, budget - weights - overhead) * MIB
    return MemoryFit(
        gpu_mib=gpu.memory_mib,
        budget_mib=budget,
        weights_mib=weights,
        kv_mib=-(-sequence_bytes * engine.max_num_seqs // MIB),
        kv_mib_per_1k_tokens=token_bytes * 1024 / MIB,
        overhead_mib=overhead,
        most_sequences=kv_room // sequence_bytes,
        longest_context=min(model.max_positions, kv_room // (token_bytes * engine.max_num_seqs)),
    )


def overhead_mib(model: ModelFacts, parallel: int) -> int:
    """Add up what is neither weights nor KV cache, on one GPU."""
    activations = BATCHED_TOKENS * model.hidden_size * LIVE_PER_HIDDEN * ACTIVATION_BYTES // MIB
    return CONTEXT_MIB + GRAPHS_MIB + activations + (COLLECTIVES_MIB if parallel > 1 else 0)
