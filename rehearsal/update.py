"""The Pulumi stack of a rehearsal, which recovers from a run that was killed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from rich.console import Console

from rehearsal.cluster.orphans import stop_orphans
from rehearsal.engine import PulumiStack, workspace_options
from rehearsal.recovery import recover, with_begun


class Stack(PulumiStack):
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
        self._state = state
        for line in recover(self._state, name):
            console.print(line, highlight=False)
        options = workspace_options(folder, pulumi, environment)
        stack = auto.create_or_select_stack(stack_name=name, work_dir=str(folder), opts=options)
        super().__init__(stack, console)

    def clean_up(self) -> None:
        """End the plugins of an engine that had to be killed."""
        stop_orphans(self._state)

    def prepare(self) -> None:
        """Find out how operations ended that a killed run left: what it made, or was making, is in the state or is not there."""
        exported = self.stack.export_stack()
        deployment: dict[str, Any] = dict(exported.deployment or {})
        pending = len(deployment.get("pending_operations") or [])
        if not pending:
            return
        self.console.print(
            f"an earlier run of {self.name} was killed during {pending} operations; reading the real state first"
        )
        self.stack.import_stack(auto.Deployment(version=exported.version, deployment=with_begun(deployment)))
        self.stack.refresh(color="never", suppress_progress=True)
