"""Runs the Pulumi engine on a rehearsal stack through the Automation API, shows its progress, and recovers from a run that was killed."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import psutil
from pulumi import automation as auto
from pulumi.automation import events
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rehearsal.cluster.orphans import stop_orphans
from rehearsal.errors import UserError
from rehearsal.recovery import recover

UNCHANGED = "same"
# For the engine to finish the operations under way after Ctrl-C; then it is told to end, and at last killed.
INTERRUPT_SECONDS = 15.0
PROVIDER_TYPES = ("kubernetes:", "aws:")


class Stack:
    """One rehearsal stack in its project folder."""

    def __init__(
        self,
        name: str,
        folder: Path,
        state: Path,
        *,
        environment: Mapping[str, str],
        pulumi: Path,
        console: Console,
    ) -> None:
        """Create the stack in its backend, the folder `state`, unless it is there. `pulumi` is the binary to run."""
        self.name = name
        self._state = state
        self._console = console
        options = auto.LocalWorkspaceOptions(
            work_dir=str(folder),
            env_vars=dict(environment),
            pulumi_command=_command(pulumi),
        )
        for line in recover(self._state, name):
            console.print(line, highlight=False)
        self._stack = auto.create_or_select_stack(stack_name=name, work_dir=str(folder), opts=options)

    def up(self) -> dict[str, int]:
        """Create or update everything. Returns how many resources were created, updated, deleted and left the same.

        Raises UserError with the engine's diagnostics when the update fails.
        """
        return self._run("up", self._stack.up)

    def destroy(self) -> dict[str, int]:
        """Delete everything that the stack made."""
        return self._run("destroy", self._stack.destroy)

    def _run(self, what: str, operation: Callable[..., auto.UpResult | auto.DestroyResult]) -> dict[str, int]:
        self._recover_pending()
        with _Watch(self._console, f"pulumi {what} {self.name}") as watch:
            try:
                result = operation(on_event=watch.event, suppress_progress=True, color="never")
            except auto.CommandError as error:
                raise UserError(watch.failure(error)) from None
            except KeyboardInterrupt:
                self._console.print("stopping: Pulumi finishes what it has begun")
                self._end_engine()
                raise
        return {str(kind): count for kind, count in (result.summary.resource_changes or {}).items()}

    def _end_engine(self) -> None:
        """See to it that an interrupted engine and its plugins end: the Automation API waits a quarter of a second, and no more."""
        engines = [child for child in psutil.Process().children() if child.name() == "pulumi"]
        for ask in (psutil.Process.is_running, psutil.Process.terminate, psutil.Process.kill):
            for engine in engines:
                with contextlib.suppress(psutil.NoSuchProcess):
                    ask(engine)
            _, engines = psutil.wait_procs(engines, timeout=INTERRUPT_SECONDS)
        stop_orphans(self._state)

    def _recover_pending(self) -> None:
        """Drop operations of unknown end that a killed run left: the provider adopts, by server-side apply, what was really made."""
        deployment: dict[str, Any] = dict(self._stack.export_stack().deployment or {})
        pending = cast("list[object]", deployment.get("pending_operations") or [])
        if not pending:
            return
        self._console.print(
            f"an earlier run of {self.name} was killed during {len(pending)} operations; reading the real state first"
        )
        self._stack.refresh(clear_pending_creates=True, color="never", suppress_progress=True)


def _command(pulumi: Path) -> auto.PulumiCommand:
    # The Automation API looks for ROOT/bin/pulumi, and on PATH when it is given no root.
    return (
        auto.PulumiCommand(root=str(pulumi.parent.parent))
        if pulumi.parent.name == "bin"
        else auto.PulumiCommand()
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
