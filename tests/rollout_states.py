"""The states of a rollout, as the stack files that its commits leave, on the stack `local`."""

from copy import deepcopy
from pathlib import Path
from typing import Any, Final, cast

from settings import stack_yaml

MODEL: Final = "qwen-7b-vllm"
STEPS: Final = [0, 5, 50, 100]
HELD: Final = 4
NEXT: Final = {"repository": "llm/vllm-qwen-7b-awq", "tag": "v1.1"}
ADDONS: Final = {"gateway_api": "existing", "envoy_gateway": "existing"}
NODES: Final = {"a10": 9}
"""Both versions at the model's most, and the surge of the old one."""

# The candidate's step, or None without one; and whether the model has the new release already.
STATES: Final[dict[str, tuple[int | None, bool]]] = {
    "before": (None, False),
    "warm": (0, False),
    "first": (1, False),
    "half": (2, False),
    "whole": (3, False),
    "taken over": (3, True),
    "after": (None, True),
}


def section(root: Path, stack: str, name: str) -> list[dict[str, Any]]:
    """Return a list of a stack file."""
    text = (root / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    content = cast("dict[str, Any]", stack_yaml.load(text))
    return deepcopy(content["config"][f"vllm-platform:{name}"])


def pools(root: Path, stack: str = "local", **nodes: int) -> list[dict[str, Any]]:
    """Return the stack's pools, some of them with more nodes."""
    found = section(root, stack, "pools")
    for pool in found:
        pool["max"] = (nodes or NODES).get(pool["name"], pool["max"])
    return found


def state(root: Path, name: str) -> list[dict[str, Any]]:
    """Return the stack's models in a state of the rollout of `MODEL`."""
    step, taken_over = STATES[name]
    models = section(root, "local", "models")
    (model,) = [model for model in models if model["name"] == MODEL]
    rollout: dict[str, Any] = {"kind": "canary", "steps": STEPS}
    if step is not None:
        rollout["candidate"] = {"release": {"image": NEXT}, "step": step, "replicas": HELD}
    model["rollout"] = rollout
    if taken_over:
        model["image"] = NEXT
    return models
