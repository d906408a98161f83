"""Runs the program of a stack without an engine and returns what it asks for.

In an interpreter of its own: Pulumi keeps configuration, monitor and event loop in global state, and the
caller's shell may point at a cluster. `python -m ops.program_graph STACK` is that interpreter; it prints
one JSON document.
"""

import contextlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, cast

from rehearsal.errors import UserError
from settings import stack_yaml
from settings.loader import stack_name

PROJECT_FILE: Final = "Pulumi.yaml"
# The program's name when it is not run by the engine: `__main__.py` then leaves out its last look before a
# deployment.
RUN_NAME: Final = "vp_render"
# A render is a second's work; past this the program waits for something that does not come.
TIMEOUT_SECONDS: Final = 120
SECRET_PLACEHOLDER: Final = "secret"  # noqa: S105 - what stands in for one
# What would reach a provider's inputs from the shell of whoever renders.
_AMBIENT: Final = ("KUBECONFIG", "PULUMI_", "AWS_", "DOCKER_")


class ProgramError(UserError):
    """The program refused its settings, or failed. The text is for people."""


@dataclass(frozen=True, kw_only=True)
class ProgramGraph:
    """What a program asked for: resources (fields of ops.recorder.Registration), and outputs by URN."""

    resources: tuple[Mapping[str, Any], ...]
    outputs: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...]


def program_graph(stack: str, root: Path) -> ProgramGraph:
    """Run `__main__.py` in `root` with the configuration of `Pulumi.STACK.yaml`. Raises ProgramError."""
    file = root / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(map(stack_name, root.glob("Pulumi.*.yaml")))) or "none"
        message = f"there is no {file.name} in {root}; the stacks there are: {known}"
        raise ProgramError(message)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_AMBIENT)}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(root), *filter(None, [environment.get("PYTHONPATH", "")])]
    )
    command = [sys.executable, "-m", "ops.program_graph", stack]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        message = f"the program of stack {stack} did not end within {TIMEOUT_SECONDS} s"
        raise ProgramError(message) from None
    if done.returncode != 0:
        raise ProgramError(
            done.stderr.strip() or f"the program of stack {stack} ended with status {done.returncode}"
        )
    answer = json.loads(done.stdout)
    return ProgramGraph(
        resources=tuple(answer["resources"]), outputs=answer["outputs"], warnings=tuple(answer["warnings"])
    )


def stack_config(stack: str, root: Path) -> tuple[dict[str, str], list[str]]:
    """Return a stack's configuration as the engine hands it over, text by key, and the keys of secrets."""
    project = _load(root / PROJECT_FILE)
    given = cast("dict[str, Any]", _load(root / f"Pulumi.{stack}.yaml").get("config") or {})
    values: dict[str, Any] = {}
    for key, declared in cast("dict[str, Any]", project.get("config") or {}).items():
        default = declared
        if isinstance(declared, dict):
            declaration = cast("dict[str, Any]", declared)
            default = declaration.get("default", declaration.get("value"))
        if default is not None:
            values[key if ":" in key else f"{project['name']}:{key}"] = default
    values |= given
    secrets = [
        key
        for key, value in values.items()
        if isinstance(value, dict) and set(cast("Any", value)) == {"secure"}
    ]
    texts = {key: SECRET_PLACEHOLDER if key in secrets else _text(value) for key, value in values.items()}
    return texts, secrets


def _text(value: Any) -> str:  # noqa: ANN401 - a YAML value
    return value if isinstance(value, str) else json.dumps(value)


def _load(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", stack_yaml.load(path.read_text(encoding="utf-8")) or {})


def _record(stack: str, root: Path) -> dict[str, Any]:
    """Run the program in this interpreter and return the document. Raises pulumi.RunError."""
    # Only the child needs Pulumi: the parent, the command line, has to start without it.
    import pulumi  # noqa: PLC0415

    from ops.recorder import record  # noqa: PLC0415

    texts, secrets = stack_config(stack, root)
    pulumi.runtime.set_all_config(texts, secrets)
    project: str = _load(root / PROJECT_FILE)["name"]
    recorder = record(lambda: runpy.run_path(str(root), run_name=RUN_NAME), project=project, stack=stack)
    duplicates = recorder.duplicates()
    if duplicates:
        message = f"two resources have one URN: {', '.join(duplicates)}"
        raise pulumi.RunError(message)
    resources = sorted(
        (asdict(registration) for registration in recorder.registrations), key=itemgetter("urn")
    )
    outputs = dict(sorted(recorder.outputs.items()))
    return {"resources": resources, "outputs": outputs, "warnings": sorted(recorder.log.warnings)}


def main() -> None:
    """Entry point of the child: the document on stdout, or one message on stderr and status 1."""
    import pulumi  # noqa: PLC0415 - see _record

    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the program prints is not part of the document
            document = _record(sys.argv[1], Path.cwd())
    except pulumi.RunError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main()
