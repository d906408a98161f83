"""The ready models with what their settings come to: weights, KV cache, most requests, replicas a node, price."""

from dataclasses import dataclass
from typing import Final

from settings.facts import instances, prices
from settings.fit import MemoryFit, memory_fit
from settings.packing import copies, demand_of, room_of
from settings.ready_models import REGION, cheapest_instance, ready_models

COLUMNS: Final = (
    "name",
    "model",
    "GPUs",
    "on",
    ">weights, MiB",
    ">KiB a token",
    ">requests x tokens",
    ">at most",
    ">replicas",
    ">USD/h",
    ">a replica",
)
"""A column that begins with '>' holds numbers."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One ready model on the cheapest instance type for it. hourly: list price of a node, USD an hour on demand."""

    name: str
    model: str
    gpus: int
    gpu: str
    instance_type: str
    fit: MemoryFit
    asked: str
    replicas: int
    hourly: float

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells, in the order of COLUMNS."""
        return (
            self.name,
            self.model,
            f"{self.gpus} x {self.gpu}",
            self.instance_type,
            f"{self.fit.weights_mib:,}",
            f"{self.fit.kv_token_bytes / 1024:,.0f}",
            self.asked,
            f"{self.fit.most_sequences:,}",
            f"{self.replicas}",
            f"{self.hourly:,.3f}",
            f"{self.hourly / self.replicas:,.3f}",
        )


def rows() -> list[Row]:
    """Return a row for every ready model. Raises LookupError for one that fits nowhere, which a test forbids."""
    return [_row(name) for name in ready_models()]


def _row(name: str) -> Row:
    model = ready_models()[name]
    instance_type = cheapest_instance(model)
    facts = instances().get(instance_type or "")
    hourly = prices().hourly(instance_type or "", REGION)
    if instance_type is None or facts is None or facts.gpu is None or hourly is None:
        message = f"ready model {name} fits on no instance type with a price"
        raise LookupError(message)
    return Row(
        name=name,
        model=model.model,
        gpus=model.gpus,
        gpu=facts.gpu.name.removeprefix("NVIDIA "),
        instance_type=instance_type,
        fit=memory_fit(model.facts, model.engine, facts.gpu),
        asked=f"{model.engine.max_num_seqs} x {model.engine.max_model_len:,}",
        replicas=copies(demand_of(model), room_of(facts)),
        hourly=hourly,
    )
