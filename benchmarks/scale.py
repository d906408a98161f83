"""Stack files of any size: copies of one model, and ten nodes for each."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_PREFIX: Final = "vllm-platform:"
# The model that is copied: one GPU, spread over two zones.
_MODEL: Final = "qwen-7b-vllm"
_NODES_PER_MODEL: Final = 10
_REPLICAS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A size. Nodes of the CPU pool count too."""

    models: int

    @property
    def nodes(self) -> int:
        """All nodes, ten for each model; three would be enough for its replicas and an update."""
        return self.models * _NODES_PER_MODEL

    @property
    def stack(self) -> str:
        """Name of the stack, and of its cluster."""
        return f"scale-{self.models}"


def write_stack(root: Path, origin: str, size: Scale) -> Path:
    """Write the stack file of a size, made from another stack's. Return its path."""
    document: dict[str, Any] = yaml.safe_load((root / f"Pulumi.{origin}.yaml").read_text(encoding="utf-8"))
    config: dict[str, Any] = document["config"]
    model = next(each for each in config[f"{_PREFIX}models"] if each["name"] == _MODEL)
    pool = next(each for each in config[f"{_PREFIX}pools"] if each["name"] == model["selector"]["pool"])
    cpu = next(each for each in config[f"{_PREFIX}pools"] if each["kind"] == "cpu")
    pool |= {"min": 0, "max": size.nodes - cpu["max"]}
    config[f"{_PREFIX}pools"] = [cpu, pool]
    config[f"{_PREFIX}models"] = [_copy(model, index) for index in range(size.models)]
    config[f"{_PREFIX}cluster"] = {**config[f"{_PREFIX}cluster"], "name": size.stack}
    path = root / f"Pulumi.{size.stack}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def _copy(model: dict[str, Any], index: int) -> dict[str, Any]:
    made = copy.deepcopy(model)
    made |= {"name": f"model-{index}", "autoscaling": {"kind": "fixed", "replicas": _REPLICAS}}
    return made
