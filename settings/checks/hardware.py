"""A model against the GPUs and the node that it gets."""

from collections.abc import Iterable
from typing import Final

from settings.advice import advice
from settings.checks.naming import at, of_versions
from settings.draft import Draft
from settings.engine import Engine
from settings.facts import GpuFacts, ModelFacts, instances, models
from settings.fit import memory_fit
from settings.models import Model
from settings.packing import AGENTS_CPU_M, AGENTS_MEMORY_MIB, room_of
from settings.pools import GpuPool
from settings.problems import Problem
from settings.shapes import SPLITS, cannot_deal_out, deals_experts_unevenly, splits_up_to

# bfloat16 arithmetic came with Ampere.
BFLOAT16_SINCE: Final = (8, 0)


def check(draft: Draft) -> list[Problem]:
    """Return the problems between models and hardware."""
    return of_versions(draft.models, lambda model: _model(model, draft.pool_of(model)))


def _model(model: Model, pool: GpuPool | None) -> Iterable[Problem]:
    facts, gpu = models().get(model.model), _gpu_of(pool)
    split: list[Problem] = [] if facts is None else list(_split(model, facts))
    yield from split
    if pool is None or gpu is None:
        return
    yield from _node(model, pool)
    too_wide = list(_width(model, pool, gpu))
    yield from too_wide
    if facts is not None:
        yield from _capability(model, facts, gpu)
        # How much a GPU holds means little while the number of GPUs is wrong.
        if not split and not too_wide:
            yield from _memory(model, facts, gpu)


def _gpu_of(pool: GpuPool | None) -> GpuFacts | None:
    facts = instances().get(pool.instance_type) if pool else None
    return facts.gpu if facts else None


def _split(model: Model, facts: ModelFacts) -> Iterable[Problem]:
    """Tensor parallelism deals the attention heads out to GPUs; KV heads are dealt out evenly, or copied."""
    size = model.engine.tensor_parallel_size
    reason = cannot_deal_out(facts, size)
    if reason:
        sizes = ", ".join(map(str, splits_up_to(facts, max(SPLITS))))
        yield Problem(at(model, "engine", "tensor_parallel_size"), size, reason, f"use one of: {sizes}")
    if model.engine.enable_expert_parallel and not facts.experts:
        yield Problem(
            path=at(model, "engine", "enable_expert_parallel"),
            value=True,
            reason=f"{model.model} has no experts to deal out",
            fix="remove the key",
        )
    elif (
        model.engine.enable_expert_parallel
        and reason is None
        and (uneven := deals_experts_unevenly(facts, size))
    ):
        yield Problem(
            path=at(model, "engine", "enable_expert_parallel"),
            value=True,
            reason=uneven,
            fix="remove the key, so that each GPU has a slice of every expert, or use another tensor_parallel_size",
        )


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


def lacks_kernels(facts: ModelFacts, gpu: GpuFacts) -> str | None:
    """Say why a GPU is too old for how weights are quantized, or nothing."""
    if gpu.compute_capability >= facts.min_compute_capability:
        return None
    need = ".".join(map(str, facts.min_compute_capability))
    return f"{facts.quantization} weights need compute capability {need}, and {_capability_of(gpu)}"


def lacks_bfloat16(engine: Engine, gpu: GpuFacts) -> str | None:
    """Say why a GPU can not compute in the type that is asked for, or nothing."""
    if engine.dtype != "bfloat16" or gpu.compute_capability >= BFLOAT16_SINCE:
        return None
    return f"bfloat16 needs compute capability 8.0, and {_capability_of(gpu)}"


def _capability_of(gpu: GpuFacts) -> str:
    return f"{gpu.name} has {'.'.join(map(str, gpu.compute_capability))}"


def _capability(model: Model, facts: ModelFacts, gpu: GpuFacts) -> Iterable[Problem]:
    if reason := lacks_kernels(facts, gpu):
        yield Problem(
            at(model, "model"),
            model.model,
            reason,
            "select a pool with a newer GPU, or weights without this quantization",
        )
    if reason := lacks_bfloat16(model.engine, gpu):
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
    choices = [*advice(facts, engine, gpu).settings(), "a pool whose GPUs have more memory"]
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
