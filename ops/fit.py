"""`vp fit`: does a model fit on a GPU, how many replicas of it does a node hold, and what does that cost an hour.

The arithmetic is that of the settings' checks. Reads the stack file, without its checks, and the facts.
"""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ops.fit_text import Report, report_lines
from rehearsal.errors import UserError
from settings import GpuPool, Model, SettingsError, read_draft
from settings.advice import advice
from settings.draft import Draft
from settings.engine import Engine
from settings.facts import InstanceFacts, ModelFacts, instances, models, prices
from settings.loader import stack_name
from settings.packing import Demand, copies_by_amount, demand_of, room_of
from settings.problems import Problem
from settings.ready_models import ready_models
from settings.structure import suggest

if TYPE_CHECKING:
    from rich.console import Console

Output = Literal["text", "json"]
# Where neither a stack nor the command line says it.
REQUESTS: Final = 16
REGION: Final = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What takes the place of a model's own settings; None leaves them."""

    tensor_parallel: int | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None

    def on(self, engine: Engine) -> Engine:
        """Return an engine's settings with these in their place."""
        changes = {
            "tensor_parallel_size": self.tensor_parallel,
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_num_seqs,
        }
        return engine.model_copy(update={key: value for key, value in changes.items() if value is not None})


def fit(
    model: str,
    place: str,
    path: Path,
    asked: Asked,
    output: Output = "text",
    *,
    today: dt.date | None = None,
    console: "Console | None" = None,
) -> int:
    """Print whether `model` fits on `place`, a pool of the stack at `path` or an instance type. Return 1 where it does not.

    Raises UserError for a name that is not known, SettingsError for a part of the stack that can not be read.
    """
    report = make_report(model, place, path, asked)
    warning = prices().warning(today or dt.datetime.now(tz=dt.UTC).date())
    out = console or _console()
    if output == "json":
        text = json.dumps({**as_values(report), "warnings": [warning] if warning else []}, indent=2)
    else:
        text = "\n".join([*report_lines(report), *([f"warning: {warning}"] if warning else [])])
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    return 0 if report.fits else 1


def make_report(model: str, place: str, path: Path, asked: Asked) -> Report:
    """Put together what there is to say about a model on a pool or an instance type."""
    stack = _Stack(path)
    found = None if model in models() else stack.model(model)
    facts = models()[found.model if found else model]
    pool = None if place in instances() else stack.pool(place)
    instance_type = pool.instance_type if pool else place
    instance = _with_gpu(instance_type)
    gpu = instance.gpu
    assert gpu is not None  # noqa: S101 - _with_gpu says so
    engine = asked.on(found.engine if found else Engine(max_num_seqs=REQUESTS))
    demand = demand_of(found) if found else Demand(gpus=1, memory_mib=0, cpu_m=0)
    demand = Demand(gpus=engine.tensor_parallel_size, memory_mib=demand.memory_mib, cpu_m=demand.cpu_m)
    region = stack.region() if pool or found else REGION
    return Report(
        name=model,
        model=found.model if found else model,
        facts=facts,
        engine=engine,
        gpu=gpu,
        instance_type=instance_type,
        pool=pool.name if pool else None,
        capacity=pool.capacity.kind if pool else "on-demand",
        advice=advice(facts, engine, gpu),
        copies=copies_by_amount(demand, room_of(instance)),
        region=region,
        hourly=prices().hourly(instance_type, region),
        price_date=prices().date,
    )


def as_values(report: Report) -> dict[str, Any]:
    """Return a report as plain values."""
    memory = report.memory
    return {
        "name": report.name,
        "model": report.model,
        "instance": report.instance_type,
        "pool": report.pool,
        "gpu": {"name": report.gpu.name, "count": report.gpu.count},
        "fits": report.fits,
        "obstacles": report.obstacles,
        "engine": {
            "max_num_seqs": report.engine.max_num_seqs,
            "max_model_len": report.engine.max_model_len,
            "tensor_parallel_size": report.engine.tensor_parallel_size,
            "enable_expert_parallel": report.engine.enable_expert_parallel,
            "gpu_memory_utilization": report.engine.gpu_memory_utilization,
        },
        "memory_mib": {
            "budget": memory.budget_mib,
            "weights": memory.weights_mib,
            "kv_cache": memory.kv_mib,
            "context": memory.overhead.context_mib,
            "graphs": memory.overhead.graphs_mib,
            "forward": memory.overhead.forward_mib,
            "collectives": memory.overhead.collectives_mib,
            "total": memory.total_mib,
            "headroom": memory.headroom_mib,
        },
        "kv_bytes_per_token": memory.kv_token_bytes,
        "most_sequences": memory.most_sequences,
        "longest_context": memory.longest_context,
        "total_mib_by_gpus": {size: split.total_mib for size, split in report.splits.items()},
        "smallest_tensor_parallel_size": report.smallest_split,
        "would_fit": {
            "max_num_seqs": report.advice.requests,
            "max_model_len": report.advice.context,
            "tensor_parallel_size": report.advice.parallel,
        },
        "replicas_per_node": report.replicas,
        "replicas_per_node_by": report.copies,
        "price": {
            "currency": prices().currency,
            "region": report.region,
            "capacity": report.capacity,
            "date": str(report.price_date),
            "on_demand_per_node_hour": report.hourly,
            "on_demand_per_replica_hour": report.hourly_per_replica,
        },
    }


class _Stack:
    """A stack file that is read only where a name asks for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = stack_name(path)
        self._read: tuple[Draft, list[Problem]] | None = None

    def model(self, name: str) -> Model:
        draft, _ = self._content("models", name)
        found = next((model for model in draft.models if model.name == name), ready_models().get(name))
        if found is None:
            raise UserError(
                _unknown(name, f"model of stack {self.name}", [one.name for one in draft.models], models())
            )
        if found.model not in models():
            raise UserError(f"{found.model} has no facts in settings/data/models.yaml.")
        return found

    def pool(self, name: str) -> GpuPool:
        draft, _ = self._content("pools", name)
        found = next((pool for pool in draft.pools if pool.name == name), None)
        if found is None:
            raise UserError(
                _unknown(name, f"pool of stack {self.name}", [one.name for one in draft.pools], instances())
            )
        if not isinstance(found, GpuPool):
            raise UserError(f"Pool {name} of stack {self.name} has no GPUs ({found.instance_type}).")
        return found

    def region(self) -> str:
        draft, _ = self._content("cluster", "")
        return draft.cluster.region if draft.cluster else REGION

    def _content(self, section: str, name: str) -> tuple[Draft, list[Problem]]:
        """Read the file. Raises SettingsError where that very item is what can not be read."""
        if self._read is None:
            self._read = read_draft(self._path)
        about = [one for one in self._read[1] if one.path.startswith(f"{section}[{name}]")]
        if about:
            raise SettingsError(self.name, about)
        return self._read


def _with_gpu(instance_type: str) -> InstanceFacts:
    facts = instances().get(instance_type)
    if facts is None:
        raise UserError(f"{instance_type} has no facts in settings/data/instances.yaml.")
    if facts.gpu is None:
        raise UserError(f"{instance_type} has no GPU.")
    return facts


def _unknown(
    name: str, what: str, here: list[str], facts: dict[str, ModelFacts] | dict[str, InstanceFacts]
) -> str:
    hint = suggest(name, [*here, *facts])
    return (
        f"{name} is neither a {what} ({', '.join(here) or 'there is none'}) nor one with facts: {', '.join(facts)}."
        + (f"\n{hint[0].upper()}{hint[1:].strip()}" if hint else "")
    )


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - 80 ms that callers with a console of their own save

    return Console()
