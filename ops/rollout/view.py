"""What `vp rollout` shows: the plan before it begins, then each look at a step."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from rich.console import Console, Group
from rich.live import Live as LiveDisplay
from rich.table import Table
from rich.text import Text

from ops.rollout.judge import Opinion, Verdict
from ops.rollout.stack_file import Standing

STYLES: Final[dict[Opinion, str]] = {"good": "green", "bad": "red", "open": "yellow"}
# Where the output is no terminal (a log, a pull request), the table keeps its columns.
LOG_WIDTH: Final = 150


def output_console() -> Console:
    """Make the console that it goes to."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


class ConsoleView:
    """Shows it on a terminal, in place; in a log, line by line and only what is new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._display: LiveDisplay | None = None
        self._shown: tuple[object, ...] = ()

    @contextmanager
    def running(self) -> Generator[None]:
        """Leave the terminal as it was found, however it ends."""
        try:
            yield
        finally:
            self._rest()

    def plan(self, before: Standing, after: Standing) -> None:
        """Show what is going to happen."""
        rollout = after.rollout
        self.say(f"rollout of {after.model.name}")
        for what, old, new in _differences(before, after):
            self.say(f"  {what}: {old} -> {new}")
        steps = ", ".join(f"{step} %" for step in rollout.steps)
        self.say(f"  steps: {steps}; each for {rollout.bake_seconds} s at least")
        judge = rollout.judge
        self.say(
            f"  good: {judge.min_requests} requests, errors at most {judge.max_error_ratio:.2%}, first token p95 at most "
            f"{judge.max_ttft_p95_ratio:g} x, inter-token p95 at most {judge.max_inter_token_p95_ratio:g} x the stable one's"
        )
        self.say(
            f"  bad, or not shown to be good within {judge.max_wait_seconds} s: back to the stable release"
        )

    def moved(self, standing: Standing) -> None:
        """Say where the stack file stands now."""
        self._rest()
        self._shown = ()
        self.say(str(standing))

    def looked(self, standing: Standing, age: float, verdict: Verdict, note: str) -> None:
        """Show a look at a step that is `age` seconds old."""
        left = max(0.0, standing.rollout.bake_seconds - age)
        head = f"{standing}; {age:.0f} s, {left:.0f} s to bake: {verdict.opinion}"
        if not self._console.is_terminal:
            self._log(head, verdict, note)
            return
        if self._display is None:
            self._display = LiveDisplay(console=self._console, transient=True, refresh_per_second=2)
            self._display.start()
        lines = [Text(head, style=STYLES[verdict.opinion])]
        if note:
            lines.append(Text(note, style="yellow"))
        self._display.update(Group(*lines, checks_table(verdict)), refresh=True)

    def say(self, text: str) -> None:
        """Say something in between."""
        self._rest()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _log(self, head: str, verdict: Verdict, note: str) -> None:
        state = (note, *((check.name, check.opinion, check.why) for check in verdict.checks))
        self.say(f"  {head}" + (f" ({note})" if note else ""))
        if state != self._shown:
            self._shown = state
            for check in verdict.checks:
                why = f": {check.why}" if check.why else ""
                self.say(
                    f"    {check.opinion:<4} {check.name}: stable {check.stable}, canary {check.canary}, "
                    f"limit {check.limit}{why}"
                )

    def _rest(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None


def checks_table(verdict: Verdict) -> Table:
    """One row a check: both sides, the limit, the opinion and why."""
    table = Table()
    for column in ("check", "stable", "canary", "limit", "opinion"):
        table.add_column(column, no_wrap=True)
    table.add_column("why", overflow="fold")
    for check in verdict.checks:
        opinion = Text(check.opinion, style=STYLES[check.opinion])
        table.add_row(check.name, check.stable, check.canary, check.limit, opinion, check.why)
    return table


def _differences(before: Standing, after: Standing) -> list[tuple[str, str, str]]:
    old, new = before.model.release.model_dump(mode="json"), after.release.model_dump(mode="json")
    return [(key, _short(old[key]), _short(new[key])) for key in old if old[key] != new[key]]


def _short(value: Any) -> str:  # noqa: ANN401 - whatever a release holds
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return ", ".join(f"{name} {entry}" for name, entry in entries.items() if entry is not None)
    return str(value)
