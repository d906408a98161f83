"""Runs the Pulumi engine on one stack through the Automation API, shows its progress, and ends it after Ctrl-C."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psutil
from pulumi import automation as auto
from pulumi.automation import events
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rehearsal import leash
from rehearsal.errors import UserError

UNCHANGED = "same"
_KEY_PREFIX = "vllm-platform:"
# For the engine to finish the operations under way after Ctrl-C; then it is told to end, and at last killed.
INTERRUPT_SECONDS = 15.0
PROVIDER_TYPES = ("kubernetes:", "aws:")


@dataclass(frozen=True, kw_only=True)
class Update:
    """One operation of the past.

    kind: `update`, `destroy`, `refresh` and the like. result: `succeeded`, `failed`, `in-progress`. ended: None while it lasts.
    config: the program's settings then, by section, as text of JSON where they are no text. commit: the checkout that it
    ran from; None where that is not known, or where files differed from it.
    """

    kind: str
    result: str
    ended: datetime | None
    config: Mapping[str, str]
    commit: str | None


class PulumiStack:
    """One stack, as the Automation API has it."""

    def __init__(self, stack: auto.Stack, console: Console) -> None:
        self.name = stack.name
        self.stack = stack
        self.console = console

    def up(self) -> dict[str, int]:
        """Create or update everything. Returns how many resources were created, updated, deleted and left the same.

        Raises UserError with the engine's diagnostics when the update fails.
        """
        return self._run("up", self.stack.up)

    def destroy(self) -> dict[str, int]:
        """Delete everything that the stack made."""
        return self._run("destroy", self.stack.destroy)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name."""
        return {name: output.value for name, output in self.stack.outputs().items()}

    def updates(self) -> list[Update]:
        """Return what was done to the stack, the newest first. Secrets are left as they are."""
        return [_update(entry) for entry in self.stack.history(show_secrets=False)]

    def prepare(self) -> None:
        """Put right what an earlier run left, before an operation."""

    def clean_up(self) -> None:
        """Put right what an interrupted engine left."""

    def _run(self, what: str, operation: Callable[..., auto.UpResult | auto.DestroyResult]) -> dict[str, int]:
        self.prepare()
        with _Watch(self.console, f"pulumi {what} {self.name}") as watch:
            try:
                result = operation(on_event=watch.event, suppress_progress=True, color="never")
            except auto.CommandError as error:
                raise UserError(watch.failure(error)) from None
            except KeyboardInterrupt:
                self.console.print("stopping: Pulumi finishes what it has begun")
                self._end_engine()
                raise
        return {str(kind): count for kind, count in (result.summary.resource_changes or {}).items()}

    def _end_engine(self) -> None:
        """See to it that an interrupted engine and its plugins end: the Automation API waits a quarter of a second, and no more."""
        engines = [child for child in psutil.Process().children(recursive=True) if child.name() == "pulumi"]
        for ask in (psutil.Process.is_running, psutil.Process.terminate, psutil.Process.kill):
            for engine in engines:
                with contextlib.suppress(psutil.NoSuchProcess):
                    ask(engine)
            _, engines = psutil.wait_procs(engines, timeout=INTERRUPT_SECONDS)
        self.clean_up()


def _update(entry: auto.UpdateSummary) -> Update:
    known: Mapping[str, str] = entry.environment or {}
    return Update(
        kind=entry.kind,
        result=entry.result,
        ended=None if entry.end_time is None else entry.end_time.replace(tzinfo=UTC),
        config={
            key.removeprefix(_KEY_PREFIX): value.value
            for key, value in entry.config.items()
            if key.startswith(_KEY_PREFIX) and not value.secret
        },
        commit=None if known.get("git.dirty") == "true" else known.get("git.head"),
    )


def workspace_options(
    folder: Path, pulumi: Path, environment: Mapping[str, str]
) -> auto.LocalWorkspaceOptions:
    """Return what the Automation API needs to run `pulumi`, the program, in a project's folder; it ends with this process."""
    # The Automation API looks for ROOT/bin/pulumi, and on PATH when it is given no root.
    in_bin = pulumi.parent.name == "bin"
    command = auto.PulumiCommand(root=str(pulumi.parent.parent)) if in_bin else auto.PulumiCommand()
    command.command = leash.__file__
    path = os.pathsep.join([environment.get("PATH", os.environ.get("PATH", os.defpath)), str(pulumi.parent)])
    leashed = {leash.PROGRAM: str(pulumi), leash.OWNER: str(os.getpid()), "PATH": path}
    return auto.LocalWorkspaceOptions(
        work_dir=str(folder), env_vars={**environment, **leashed}, pulumi_command=command
    )


class _Watch:
    """Turns engine events into one progress line, and keeps the diagnostics for an error message."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._running: dict[str, float] = {}
        self._diagnostics: list[str] = []
        self._done = 0
        self._changed = 0
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        threading.excepthook = _without_closed_pipes
        if self._console.is_terminal:
            self._progress.start()
        else:
            self._console.print(f"{self._title} …")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.stop()
        # After Ctrl-C the threads may end later than this.
        if kind is not KeyboardInterrupt:
            threading.excepthook = threading.__excepthook__

    def event(self, event: events.EngineEvent) -> None:
        if event.resource_pre_event:
            self._running[_short(event.resource_pre_event.metadata.urn)] = time.monotonic()
        elif event.res_outputs_event:
            self._finish(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._running.pop(_short(event.res_op_failed_event.metadata.urn), None)
        elif event.diagnostic_event and event.diagnostic_event.severity in {"error", "warning"}:
            where = f"{_short(event.diagnostic_event.urn)}: " if event.diagnostic_event.urn else ""
            self._diagnostics.append(
                f"{event.diagnostic_event.severity}: {where}{_plain(event.diagnostic_event.message)}"
            )
        self._describe()

    def failure(self, error: auto.CommandError) -> str:
        """What the engine said, without the Automation API's traceback."""
        said = [d for d in self._diagnostics if d.startswith("error")] or [str(error)]
        return f"{self._title} failed:\n" + "\n".join(said)

    def _finish(self, metadata: events.StepEventMetadata) -> None:
        name = _short(metadata.urn)
        started = self._running.pop(name, None)
        self._done += 1
        if metadata.op == UNCHANGED:
            return
        self._changed += 1
        # Components are only groups, and end when the program does.
        if not self._console.is_terminal and metadata.type.startswith(PROVIDER_TYPES):
            seconds = f" ({time.monotonic() - started:.1f} s)" if started else ""
            self._console.print(f"  {metadata.op.value} {name}{seconds}", highlight=False, soft_wrap=True)

    def _describe(self) -> None:
        oldest = next(iter(self._running), "")
        waiting = (
            f", {oldest}" + (f" and {len(self._running) - 1} more" if len(self._running) > 1 else "")
            if oldest
            else ""
        )
        self._progress.update(
            self._task, description=f"{self._title}: {self._done} done, {self._changed} changed{waiting}"
        )


def _without_closed_pipes(args: threading.ExceptHookArgs) -> None:
    """Leave out what the Automation API's reading threads say when Ctrl-C closes their pipes; it is no error."""
    if not (args.exc_type is ValueError and "closed file" in str(args.exc_value)):
        threading.__excepthook__(args)


def _short(urn: str) -> str:
    """`kubernetes:policy/v1:PodDisruptionBudget::qwen` of a URN: last type and name."""
    parts = urn.split("::")
    return f"{parts[2].split('$')[-1]} {parts[3]}" if len(parts) > 3 else urn  # noqa: PLR2004 - a URN has four parts


def _plain(message: str) -> str:
    """A diagnostic without the engine's colour marks."""
    return re.sub(r"<\{%.*?%\}>", "", message).strip()
