"""A stack of the project's with a canary in it, written as somebody would write it."""

from pathlib import Path
from typing import Any, Final

from ops.stack_edit import Step, read_exactly, set_value
from tests.conftest import ROOT

MODEL: Final = "qwen-7b-vllm"
STEPS: Final = (5, 50, 100)
_MODEL: Final[tuple[Step, ...]] = ("config", "vllm-platform:models", ("name", MODEL))


def write_canary_stack(path: Path, **rollout: Any) -> None:  # noqa: ANN401 - keys of a stack file
    """Write the stack `local` with a canary for one model, and with GPUs for both of its versions. `rollout`: more of its keys."""
    text = read_exactly(ROOT / "Pulumi.local.yaml")
    text = set_value(text, ["config", "vllm-platform:pools", ("name", "a10"), "max"], 12)
    text = set_value(
        text, ["config", "vllm-platform:addons"], {"gateway_api": "existing", "envoy_gateway": "existing"}
    )
    canary = {"kind": "canary", "steps": list(STEPS), "bake_seconds": 600, **rollout}
    text = set_value(text, [*_MODEL, "rollout"], canary)
    path.write_text(text, encoding="utf-8")
