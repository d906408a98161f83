"""`vp rollout`: the command line."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from ops.rollout.driver import Driver
from ops.rollout.history import History
from ops.rollout.lock import only_one
from ops.rollout.measure import Meter
from ops.rollout.observe import Live, look, remove_candidate
from ops.rollout.place import Place, in_cluster, place_of
from ops.rollout.prometheus import Prometheus, PrometheusError, at_address
from ops.rollout.stack_file import StackFile, Standing
from ops.rollout.target import names_it, release_change
from ops.rollout.view import ConsoleView, output_console
from rehearsal.errors import UserError
from rehearsal.project import project_root
from settings.loader import load_stack_file
from settings.rollout import CanaryRollout


class _ModelOrCommand(TyperGroup):
    """What is no command is a model: `vp rollout MODEL` is `vp rollout run MODEL`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - of click, which Typer brings along
        """Find the command of the words that are left."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


app = typer.Typer(
    cls=_ModelOrCommand,
    no_args_is_help=True,
    # A name of a model that looks like a command is a model.
    help="Bring a new release of a model in by steps: vp rollout MODEL --stack STACK --to IMAGE.",
)

Model = Annotated[str, typer.Argument(help="Model of the stack.", show_default=False)]
Stack = Annotated[str, typer.Option(help="Stack: STACK in Pulumi.STACK.yaml.", show_default=False)]
Rehearsal = Annotated[
    bool, typer.Option("--rehearsal", help="Work on the stack's rehearsal, on this machine.")
]
NoUp = Annotated[
    bool, typer.Option("--no-up", help="Write and commit the next move only; somebody else runs `pulumi up`.")
]
NoCommit = Annotated[bool, typer.Option("--no-commit", help="Leave the commits to yourself.")]


@app.command()
def run(
    model: Model,
    stack: Stack,
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE|REVISION",
            help="REPOSITORY:TAG@DIGEST, any part of it, or a revision of the weights (40 hex digits). May be given for both.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would happen, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking.")] = False,
    no_up: NoUp = False,
    no_commit: NoCommit = False,
    rehearsal: Rehearsal = False,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another Prometheus than the stack's own.", show_default=False),
    ] = None,
) -> None:
    """Roll a release out, or go on with a rollout that is under way."""
    file = StackFile(project_root(), stack, model)
    standing = file.read()
    change = release_change(standing.model, to) if to and standing.phase == "stable" else None
    if to and standing.candidate is not None and not names_it(standing.model, to, standing.release):
        raise UserError(
            f"{standing}, and it is another release. Run this without --to, or `vp rollout abort {model} --stack {stack}`."
        )
    with _session(file, rehearsal=rehearsal) as (view, place):
        if change is not None:
            view.plan(standing, file.understood(file.begun(change, None)))
        if plan or (change is not None and not _agreed(yes=yes)):
            return
        with only_one(file.path, model):
            meter = _Measuring(standing, place, prometheus)
            if not no_up and (change is not None or standing.phase == "step"):
                meter.reach()
            driver = _driver(file, view, place, meter, no_up=no_up, no_commit=no_commit)
            raise typer.Exit(driver.run(change))


@app.command()
def abort(
    model: Model,
    stack: Stack,
    *,
    no_up: NoUp = False,
    no_commit: NoCommit = False,
    rehearsal: Rehearsal = False,
) -> None:
    """Go back to the stable release at once. A driver that is at work on the model on this machine is stopped."""
    file = StackFile(project_root(), stack, model)
    standing = file.read()
    with _session(file, rehearsal=rehearsal) as (view, place), only_one(file.path, model, stop_other=True):
        meter = _Measuring(standing, place, None)
        raise typer.Exit(_driver(file, view, place, meter, no_up=no_up, no_commit=no_commit).abort())


@app.command()
def status(
    stack: Stack,
    model: Annotated[str | None, typer.Argument(help="All models when left out.", show_default=False)] = None,
    *,
    rehearsal: Rehearsal = False,
) -> None:
    """Show where the rollouts of a stack stand: in its file, and in the route that is live."""
    root = project_root()
    settings = load_stack_file(root / f"Pulumi.{stack}.yaml")
    names = (
        [model]
        if model
        else [m.name for m in settings.enabled_models if isinstance(m.rollout, CanaryRollout)]
    )
    table = Table()
    for column in ("model", "stable", "candidate", "steps", "file", "live"):
        table.add_column(column, overflow="fold")
    console = output_console()
    for name in names:
        standing = StackFile(root, stack, name).read()
        place = _place(root, stack, standing, rehearsal=rehearsal)
        steps = [str(step) for step in standing.rollout.steps]
        image = standing.model.image
        new = standing.release.image
        under_way = standing.candidate is not None
        table.add_row(
            name,
            f"{image.repository}:{image.tag}",
            f"{new.repository}:{new.tag}" if under_way else "-",
            ", ".join(steps),
            str(standing).removeprefix(f"{name}: "),
            _live(standing, place) if under_way else "-",
        )
    console.print(table if names else f"no model of stack {stack} has a canary")


def _live(standing: Standing, place: Place) -> str:
    try:
        live = look(place.cluster(), standing.settings.namespace, standing.model.name)
    except UserError as error:
        return f"not looked at: {error}"
    if live.weight is None:
        return "there is no route"
    return f"{live.weight} % for {live.age:.0f} s, {live.health.state if live.health else 'no candidate'}"


class _Measuring:
    """Finds Prometheus when it is first needed."""

    def __init__(self, standing: Standing, place: Place, address: str | None) -> None:
        self._standing, self._place, self._address = standing, place, address
        self._meter: Meter | None = None

    def meter(self) -> Meter:
        """Return what measures. Raises UserError where there is no Prometheus to ask."""
        if self._meter is None:
            inside = None if self._address else self._place.prometheus_address()
            if not (self._address or inside):
                raise UserError(
                    "there is no Prometheus that the judge could ask: the stack has no output `prometheus_url`.\n"
                    "fix: write `prometheus: managed` in its add-ons, or name another one with --prometheus URL"
                )
            get = at_address(self._address) if self._address else in_cluster(self._place, inside or "")
            standing = self._standing
            self._meter = Meter(
                prometheus=Prometheus(get),
                namespace=standing.settings.namespace,
                model=standing.model.name,
                task=standing.model.task,
            )
        return self._meter

    def reach(self) -> None:
        """See that it answers, before anything begins that it shall judge. Raises UserError."""
        try:
            self.meter().prometheus.ask("vector(1)")
        except PrometheusError as error:
            raise UserError(f"the judge can not ask Prometheus: {error}") from None


def _driver(
    file: StackFile, view: ConsoleView, place: Place, measuring: _Measuring, *, no_up: bool, no_commit: bool
) -> Driver:
    standing = file.read()
    where = standing.settings.namespace, standing.model.name

    def look_now() -> Live:
        return look(place.cluster(), *where)

    return Driver(
        file=file,
        history=None if no_commit else History.of(file.path),
        deploy=None if no_up else place.deploy,
        look=look_now,
        remove=lambda: remove_candidate(place.cluster(), *where),
        measure=lambda live, weight: measuring.meter().measure(live, weight),
        view=view,
    )


def _place(root: Path, stack: str, standing: Standing, *, rehearsal: bool) -> Place:
    return place_of(stack, root, output_console(), standing.settings, rehearsal=rehearsal)


@contextmanager
def _session(file: StackFile, *, rehearsal: bool) -> Generator[tuple[ConsoleView, Place]]:
    """Show what happens; of an end before the end say how to go on."""
    view = ConsoleView(output_console())
    # Who ends this process otherwise than by Ctrl-C wants the same: an orderly end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with view.running():
            yield view, _place(file.path.parent, file.stack, file.read(), rehearsal=rehearsal)
    except KeyboardInterrupt:
        view.say(
            f"stopped. {file.read()}. The same command goes on; `vp rollout abort {file.model} --stack {file.stack}` goes back"
        )
        raise


def _agreed(*, yes: bool) -> bool:
    if yes:
        return True
    if not typer.get_text_stream("stdin").isatty():
        raise UserError("nobody is there to agree to the plan: add --yes")
    return typer.confirm("begin?")
