"""The memory fit in words and numbers: the arithmetic line by line, the node, the price, what would fit instead."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from settings.adapters import largest_rank
from settings.advice import Advice, fits_by_split
from settings.checks.hardware import lacks_bfloat16, lacks_kernels
from settings.engine import Engine
from settings.facts import GpuFacts, ModelFacts
from settings.fit import BLOCK_TOKENS, KV_BYTES, MemoryFit, memory_fit
from settings.scalars import MIB
from settings.shapes import SPLITS, cannot_deal_out, experts_keep_groups, weights_on_one

WHAT_WIDTH: Final = 18
AMOUNT_WIDTH: Final = 9


@dataclass(frozen=True, kw_only=True)
class Report:
    """A model on a node.

    name: as it was asked for. pool: None for an instance type. copies: replicas that each amount of a node allows.
    hourly: list price of the node in USD an hour on demand; None where it is not known.
    """

    name: str
    model: str
    facts: ModelFacts
    engine: Engine
    gpu: GpuFacts
    instance_type: str
    pool: str | None
    capacity: str
    advice: Advice
    copies: dict[str, int]
    region: str
    hourly: float | None
    price_date: dt.date

    @property
    def memory(self) -> MemoryFit:
        """Memory of one GPU as it is asked for."""
        return memory_fit(self.facts, self.engine, self.gpu)

    @property
    def obstacles(self) -> list[str]:
        """What stands in the way besides memory."""
        size, engine = self.engine.tensor_parallel_size, self.engine
        found: list[str | None] = [
            cannot_deal_out(self.facts, size),
            f"a replica takes {size} GPUs of one node, which has {self.gpu.count}"
            if size > self.gpu.count
            else None,
            *(f"a node has no room for a pod's {amount}" for amount in self.missing),
            lacks_kernels(self.facts, self.gpu),
            lacks_bfloat16(engine, self.gpu),
            f"{engine.max_model_len:,} tokens are more than the model's {self.facts.max_positions:,} positions"
            if engine.max_model_len > self.facts.max_positions
            else None,
        ]
        return [reason for reason in found if reason]

    @property
    def missing(self) -> list[str]:
        """What of a pod's requests is more than an empty node has; its GPUs are told of otherwise."""
        return [amount for amount, count in self.copies.items() if not count and amount != "GPUs"]

    @property
    def splits(self) -> dict[int, MemoryFit]:
        """The fit by tensor parallel size, of those into which the model can be cut, on any node of these GPUs."""
        return fits_by_split(self.facts, self.engine, self.gpu, max(SPLITS))

    @property
    def smallest_split(self) -> int | None:
        """The smallest tensor parallel size that fits, on any node of these GPUs."""
        return next((size for size, fit in self.splits.items() if fit.fits), None)

    @property
    def fits(self) -> bool:
        """Whether a node holds a replica that keeps its promise."""
        return self.memory.fits and not self.obstacles and self.replicas > 0

    @property
    def replicas(self) -> int:
        """Replicas that one node holds, if each fits."""
        return min(self.copies.values())

    @property
    def hourly_per_replica(self) -> float | None:
        """List price of a replica on a full node, USD an hour."""
        return self.hourly / self.replicas if self.hourly and self.replicas else None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One step of the arithmetic."""

    what: str
    amount: str
    how: str = ""

    def __str__(self) -> str:
        """The line as the terminal shows it."""
        return f"  {self.what:<{WHAT_WIDTH}}{self.amount:>{AMOUNT_WIDTH}}  {self.how}".rstrip()


def report_lines(report: Report) -> Iterator[str]:
    """Yield the whole report, line by line."""
    where = f"pool {report.pool} ({report.instance_type})" if report.pool else report.instance_type
    engine, gpu = report.engine, report.gpu
    name = report.name if report.name == report.model else f"{report.name} ({report.model})"
    verdict = "fits" if report.fits else "does not fit"
    yield f"{name} on {where}, {gpu.count} x {gpu.name}: {verdict}"
    gpus = f"{_gpus(engine.tensor_parallel_size)} a replica"
    yield f"asked: {engine.max_num_seqs} requests at once, each {engine.max_model_len:,} tokens long, {gpus}"
    for reason in report.obstacles:
        yield f"in the way: {reason}"
    sections = {
        "Memory of one GPU, MiB": memory_lines(report.facts, engine, gpu, report.memory),
        "Limits": limit_lines(engine, report.memory),
        "A node": node_lines(report),
        "GPUs a replica": split_lines(report),
        "Experts": expert_lines(report),
        "What would fit": [] if report.memory.fits else advice_lines(report),
    }
    for title, lines in sections.items():
        shown = [str(line) for line in lines]
        if shown:
            yield ""
            yield title
            yield from shown


def memory_lines(facts: ModelFacts, engine: Engine, gpu: GpuFacts, fit: MemoryFit) -> list[Line]:
    """Return the sum of one GPU's memory, step by step, in MiB."""
    parallel, requests = engine.tensor_parallel_size, engine.max_num_seqs
    share = f" / {parallel} GPUs, and what each of them has whole" if parallel > 1 else ""
    token = f"2 (key and value) x {facts.layers} layers x {_counted(fit.kv_heads, 'KV head')} x {facts.head_size} x {KV_BYTES} bytes"
    copied = f" ({facts.kv_heads} KV heads on {parallel} GPUs: copied)" if facts.kv_heads < parallel else ""
    blocks = f"{requests} requests x {fit.request_blocks:,} blocks of {BLOCK_TOKENS} tokens, and one that is never given out"
    over = fit.overhead
    items = {
        "CUDA context": over.context_mib,
        "CUDA graphs": over.graphs_mib,
        "a forward pass": over.forward_mib,
    }
    if over.collectives_mib:
        items["collectives"] = over.collectives_mib
    if over.adapters_mib:
        items[f"{len(engine.adapters)} adapters of rank {largest_rank(engine.adapters)}"] = over.adapters_mib
    overhead = " + ".join(f"{what} {mib:,}" for what, mib in items.items())
    return [
        Line(
            what="budget",
            amount=f"{fit.budget_mib:,}",
            how=f"{gpu.cuda_mib:,} that CUDA sees x {engine.gpu_memory_utilization} (gpu_memory_utilization)",
        ),
        Line(what="weights", amount=f"{fit.weights_mib:,}", how=f"{facts.weight_bytes:,} bytes{share}"),
        Line(
            what="KV cache",
            amount=f"{fit.kv_mib:,}",
            how=f"{blocks}, of {fit.kv_token_bytes:,} bytes a token",
        ),
        Line(what="  of one token", amount="", how=f"{token} = {fit.kv_token_bytes:,} bytes{copied}"),
        Line(what="overhead", amount=f"{over.total_mib:,}", how=overhead),
        Line(what="sum", amount=f"{fit.total_mib:,}"),
        Line(what="left", amount=f"{fit.headroom_mib:,}"),
    ]


def limit_lines(engine: Engine, fit: MemoryFit) -> list[Line]:
    """Return the most that fits of each, the other as it is asked for."""
    return [
        Line(
            what="requests at once",
            amount=f"{fit.most_sequences:,}",
            how=f"of {engine.max_model_len:,} tokens each",
        ),
        Line(
            what="longest context",
            amount=f"{fit.longest_context:,}",
            how=f"tokens, {engine.max_num_seqs} at once",
        ),
    ]


def node_lines(report: Report) -> list[Line]:
    """Return how many replicas a node holds, and its price."""
    by = ", ".join(f"{amount} {count}" for amount, count in report.copies.items())
    only = (
        ""
        if "CPU" in report.copies
        else "; a pod's CPU and memory are not known here, a stack's model has them"
    )
    lines = [Line(what="replicas", amount=str(report.replicas), how=f"allowed by {by}{only}")]
    if report.hourly is None:
        return [*lines, Line(what="price", amount="-", how=f"no list price is known in {report.region}")]
    own = {
        "spot": "; Spot varies and has no list price",
        "reserved": "; a reservation has a price of its own",
        "capacity-block": "; a capacity block has a price of its own",
    }.get(report.capacity, "")
    listed = f"USD an hour on demand in {report.region}, list of {report.price_date}{own}"
    lines.append(Line(what="price", amount=f"{report.hourly:,.3f}", how=listed))
    if report.hourly_per_replica:
        lines.append(
            Line(what="  of one replica", amount=f"{report.hourly_per_replica:,.3f}", how="on a full node")
        )
    return lines


def split_lines(report: Report) -> Iterator[Line]:
    """Yield what each number of GPUs would mean."""
    fits = report.splits
    for size in SPLITS:
        if size not in fits:
            yield Line(what=_gpus(size), amount="-", how=cannot_deal_out(report.facts, size) or "")
            continue
        fit = fits[size]
        verdict = (
            f"fits, {fit.headroom_mib:,} left"
            if fit.fits
            else f"does not fit, {-fit.headroom_mib:,} too much"
        )
        beyond = "" if size <= report.gpu.count else f"; this node has {report.gpu.count}"
        yield Line(
            what=_gpus(size),
            amount=f"{fit.total_mib:,}",
            how=f"of {fit.budget_mib:,} MiB a GPU, weights {fit.weights_mib:,}: {verdict}{beyond}",
        )
    yield Line(
        what="powers of two",
        amount="",
        how="by which heads and groups of quantized weights divide; nodes have 1, 4 or 8 GPUs",
    )


def expert_lines(report: Report) -> Iterator[Line]:
    """Yield why a mixture of experts needs its GPUs, and what each holds in either way of dealing experts out."""
    facts, size = report.facts, report.engine.tensor_parallel_size
    if not facts.experts:
        return
    yield Line(
        what="in memory",
        amount=f"{facts.experts}",
        how=f"experts in each of {facts.layers} layers: a token uses {facts.experts_per_token}, and any may be next",
    )
    fewer = max((other for other in report.splits if other < size), default=None)
    if fewer is None:
        return
    less = report.splits[fewer]
    yield Line(
        what="fewer GPUs",
        amount=f"{fewer}",
        how=f"would do: {less.total_mib:,} of {less.budget_mib:,} MiB each"
        if less.fits
        else f"would not do: {less.total_mib:,} of {less.budget_mib:,} MiB each, weights alone {less.weights_mib:,}",
    )
    whole = -(-weights_on_one(facts, size, whole_experts=True) // MIB)
    cut = -(-weights_on_one(facts, size) // MIB)
    width = facts.expert_size // size
    groups = f", in whole groups of {facts.group_size}" if facts.group_size else ""
    if not experts_keep_groups(facts, size):
        groups = f", which is not whole groups of {facts.group_size}: vLLM takes a slower kernel"
    chosen = "  <- asked"
    mark = (chosen, "") if report.engine.enable_expert_parallel else ("", chosen)
    yield Line(
        what="expert parallel",
        amount=f"{whole:,}",
        how=f"MiB of weights a GPU: {-(-facts.experts // size)} whole experts of a layer{mark[0]}",
    )
    yield Line(
        what="tensor parallel",
        amount=f"{cut:,}",
        how=f"MiB of weights a GPU: of every expert a slice, {width:,} of {facts.expert_size:,} wide{groups}{mark[1]}",
    )


def advice_lines(report: Report) -> Iterable[Line]:
    """Return the settings that would fit, each alone."""
    lines = [Line(what=setting, amount="") for setting in report.advice.settings()]
    size = report.smallest_split
    if size and size > report.gpu.count:
        lines.append(
            Line(what=f"tensor_parallel_size: {size}, on a node with {size} of these GPUs", amount="")
        )
    return [*lines, Line(what="a GPU with more memory", amount="")]


def _gpus(size: int) -> str:
    return _counted(size, "GPU")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
