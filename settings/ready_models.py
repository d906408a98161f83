"""Ready settings of single models: `catalogue/*.yaml`, each one entry of a stack file's `models`, to be copied there."""

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from settings import stack_yaml
from settings.facts import InstanceFacts, instances, prices
from settings.fit import memory_fit
from settings.models import Model
from settings.packing import copies, demand_of, fits_on, room_of

FOLDER: Final = Path(__file__).parent / "catalogue"
REGION: Final = "us-east-1"


@cache
def ready_models() -> dict[str, Model]:
    """Return every ready model by name, which is also the name of its file."""
    read = {
        path.stem: stack_yaml.load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))
    }
    return TypeAdapter(dict[str, Model]).validate_python(read)


def entry_text(name: str) -> str:
    """Return a ready model as it stands below `vllm-platform:models:` in a stack file, comments too. Raises OSError."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    first, *others = lines[len(comments) :]
    shown = [*comments, f"- {first}", *(f"  {line}" for line in others)]
    return "".join(f"    {line}\n" for line in shown)


def cheapest_instance(model: Model) -> str | None:
    """Return the instance type with the GPU that a model selects on which an hour of a replica costs least; None where none fits."""
    costs = {name: _replica_cost(model, name, facts) for name, facts in instances().items()}
    known = {name: cost for name, cost in costs.items() if cost is not None}
    return min(known, key=lambda name: known[name], default=None)


def _replica_cost(model: Model, name: str, facts: InstanceFacts) -> float | None:
    gpu, hourly = facts.gpu, prices().hourly(name, REGION)
    if gpu is None or hourly is None or model.selector.gpu_type != gpu.type_label:
        return None
    demand, room = demand_of(model), room_of(facts)
    if not fits_on(demand, room) or not memory_fit(model.facts, model.engine, gpu).fits:
        return None
    return hourly / copies(demand, room)
