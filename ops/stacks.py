"""The stacks that a pipeline can deploy, for the matrices of the workflows: `python -m ops.stacks` prints them as JSON.

Read from the files as they are, whether the settings in them are good or not: a stack with a mistake has a job that says so.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final, cast

from settings import stack_yaml
from settings.loader import PROJECT, stack_name

ENVIRONMENTS: Final = ("dev", "staging", "prod")
"""In the order in which a change goes through them."""


def deployable(root: Path) -> list[str]:
    """Return the stacks in `root` that a pipeline can deploy: those of dev first, those of prod last."""
    files = {stack_name(path): path.read_text(encoding="utf-8") for path in root.glob("Pulumi.*.yaml")}
    return sorted(
        (name for name, text in files.items() if is_deployable(text)),
        key=lambda name: (_place(files[name]), name),
    )


def is_deployable(text: str) -> bool:
    """Tell whether a stack file says where the stack's state is kept, of a cluster that is no rehearsal.

    Without a state there is nothing that two machines share; Pulumi would begin a second stack. True for what is no YAML.
    """
    config = _config(text)
    if config is None:
        return True
    cluster = config.get(f"{PROJECT}:cluster")
    kind = cast("dict[str, Any]", cluster).get("kind") if isinstance(cluster, dict) else None
    return config.get(f"{PROJECT}:state") is not None and kind != "rehearsal"


def _place(text: str) -> int:
    environment = (_config(text) or {}).get(f"{PROJECT}:environment")
    # What nobody can read goes last: it fails, and what fails stops those behind it.
    return ENVIRONMENTS.index(environment) if environment in ENVIRONMENTS else len(ENVIRONMENTS)


def _config(text: str) -> dict[str, Any] | None:
    try:
        document = stack_yaml.load(text)
    except stack_yaml.YAML_ERRORS:
        return None
    found: Any = cast("dict[str, Any]", document).get("config") if isinstance(document, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


if __name__ == "__main__":
    json.dump(deployable(Path.cwd()), sys.stdout)
