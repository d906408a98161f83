"""A model against the GPUs and the node that it gets."""

from collections.abc import Iterable
from typing import Final

from settings.checks.naming import at
from settings.draft import Draft
from settings.facts import GpuFacts, ModelFacts, instances, models
from settings.fit import memory_fit
from settings.models import Model
from settings.packing import AGENTS_CPU_M, AGENTS_MEMORY_MIB, room_of
from settings.pools import GpuPool
from settings.problems import Problem

# Tensor parallel sizes that are worth proposing: nodes have 1, 4 or 8 GPUs.
SPLITS: Final = (1, 2, 4, 8)
# bfloat16 arithmetic came with Ampere.
BFLOAT16_SINCE: Final = (8, 0)


def check(draft: Draft) -> list[Problem]:
    """Return the problems between models and hardware."""
    problems: list[Problem] = []
    for model in draft.models:
        facts, pool = models().get(model.model), draft.pool_of(model)
        gpu = _gpu_of(pool)
        split: list[Problem] = [] if facts is None else list(_split(model, facts))
        problems += split
        if pool is None or gpu is None:
            continue
        problems += _node(model, pool)
        too_wide = list(_width(model, pool, gpu))
        problems += too_wide
        if facts is not None:
            problems += _capability(model, facts, gpu)
            # How much a GPU holds means little while the number of GPUs is wrong.
            if not split and not too_wide:
                problems += _memory(model, facts, gpu)
    return problems


def _gpu_of(pool: GpuPool | None) -> GpuFacts | None:
    facts = instances().get(pool.instance_type) if pool else None
    return facts.gpu if facts else None


def _split(model: Model, facts: ModelFacts) -> Iterable[Problem]:
    """Tensor parallelism deals the attention heads out to GPUs; KV heads are dealt out evenly, or copied."""
    size = model.engine.tensor_parallel_size
    path = at(model, "engine", "tensor_parallel_size")
    sizes = [n for n in SPLITS if _deals_out(facts, n)]
    if not _deals_out(facts, size):
        heads = f"{facts.attention_heads} attention heads and {facts.kv_heads} KV heads"
        reason = f"{heads} can not be dealt out to {size} GPUs"
        yield Problem(path, size, reason, f"use one of: {', '.join(map(str, sizes))}")
    if model.engine.enable_expert_parallel and not facts.experts:
        reason = f"{model.model} has no experts to deal out"
        yield Problem(
            path=at(model, "engine", "enable_expert_parallel"),
            value=True,
            reason=reason,
            fix="remove the key",
        )


def _deals_out(facts: ModelFacts, size: int) -> bool:
    return facts.attention_heads % size == 0 and (facts.kv_heads % size == 0 or size % facts.kv_heads == 0)


def _width(model: Model, pool: GpuPool, gpu: GpuFacts) -> Iterable[Problem]:
    size = model.engine.tensor_parallel_size
    if size > gpu.count:
        node = f"{pool.instance_type} of pool {pool.name}"
        reason = f"a replica runs on one node, and {node} has {gpu.count} x {gpu.name}"
        yield Problem(
            at(model, "engine", "tensor_parallel_size"),
            size,
            reason,
            f"write {gpu.count} or less, or select a pool with more GPUs a node",
        )


def _capability(model: Model, facts: ModelFacts, gpu: GpuFacts) -> Iterable[Problem]:
    have = ".".join(map(str, gpu.compute_capability))
    if gpu.compute_capability < facts.min_compute_capability:
        need = ".".join(map(str, facts.min_compute_capability))
        reason = f"{facts.quantization} weights need compute capability {need}, and {gpu.name} has {have}"
        yield Problem(
            at(model, "model"),
            model.model,
            reason,
            "select a pool with a newer GPU, or weights without this quantization",
        )
    if model.engine.dtype == "bfloat16" and gpu.compute_capability < BFLOAT16_SINCE:
        reason = f"bfloat16 needs compute capability 8.0, and {gpu.name} has {have}"
        yield Problem(
            at(model, "engine", "dtype"),
            "bfloat16",
            reason,
            "write `dtype: auto` or `dtype: float16`, or select a pool with a newer GPU",
        )


def _memory(model: Model, facts: ModelFacts, gpu: GpuFacts) -> Iterable[Problem]:
    engine = model.engine
    fit = memory_fit(facts, engine, gpu)
    if fit.fits:
        return
    reason = (
        f"does not fit {gpu.name} ({engine.max_num_seqs} requests of {engine.max_model_len:,} tokens): {fit}"
    )
    choices: list[str] = []
    if fit.most_sequences:
        choices.append(f"max_num_seqs: {fit.most_sequences}")
    if fit.longest_context:
        choices.append(f"max_model_len: {fit.longest_context}")
    wider = (
        size for size in SPLITS if engine.tensor_parallel_size < size <= gpu.count and _deals_out(facts, size)
    )
    asked = ((size, engine.model_copy(update={"tensor_parallel_size": size})) for size in wider)
    choices += [
        f"tensor_parallel_size: {size}" for size, split in asked if memory_fit(facts, split, gpu).fits
    ][:1]
    choices.append("a pool whose GPUs have more memory")
    yield Problem(
        at(model, "engine"),
        f"max_num_seqs {engine.max_num_seqs}, max_model_len {engine.max_model_len}",
        reason,
        f"use {', or '.join(choices)}",
    )


def _node(model: Model, pool: GpuPool) -> Iterable[Problem]:
    """One pod must fit on an empty node of its pool, beside the agents of the node."""
    requests, room = model.resources.requests, room_of(pool.instance)
    path = at(model, "resources", "requests")
    if requests.cpu_m > room.cpu_m:
        has = f"{pool.instance_type} has {pool.instance.allocatable_cpu_m}m for pods"
        reason = f"{has}, and the node's agents take {AGENTS_CPU_M}m of it"
        yield Problem(f"{path}.cpu", requests.cpu, reason, f"request {room.cpu_m}m or less")
    if requests.memory_mib > room.memory_mib:
        has = f"{pool.instance_type} has {pool.instance.allocatable_memory_mib:,} MiB for pods"
        reason = f"{has}, and the node's agents take {AGENTS_MEMORY_MIB:,} MiB of it"
        yield Problem(f"{path}.memory", requests.memory, reason, f"request {room.memory_mib}Mi or less")
