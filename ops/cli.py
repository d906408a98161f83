"""The command `vp`.

Every command imports what it needs when it runs, so that `vp check` and `vp --help` start at once.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Check, render and rehearse the stacks of vllm-platform.",
)

Stack = Annotated[str, typer.Argument(help="Stack: STACK in Pulumi.STACK.yaml.", show_default=False)]
# A group of commands in a module of its own, imported only when one of them runs; it shows its own help.
_GROUP: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def check(
    stack: Stack,
    output: Annotated[Literal["text", "json"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Check a stack's settings: every problem at once, or a summary of pools, models and memory."""
    from ops.check import check as run
    from rehearsal.project import project_root

    raise typer.Exit(run(stack, project_root(), output))


@app.command()
def preflight(
    stack: Stack,
    output: Annotated[Literal["text", "json"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Ask AWS, with your credentials, what a stack needs and lacks: quotas, zones, images, state."""
    from ops.preflight import preflight as run
    from rehearsal.project import project_root

    raise typer.Exit(run(stack, project_root(), output))


@app.command()
def render(
    stack: Stack,
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
) -> None:
    """Write every object that a stack would deploy to files, without a cloud or a cluster."""
    from ops.render import render as run
    from rehearsal.project import project_root

    done = run(stack, project_root(), out)
    for warning in done.warnings:
        typer.echo(f"warning: {warning}", err=True)
    charts = f", {done.charts} rendered charts" if done.charts else ""
    typer.echo(
        f"{done.stack}: {done.resources} resources, of them {done.kubernetes} Kubernetes objects, "
        f"{done.helm} Helm releases{charts} and {done.aws} of AWS, in {done.out}"
    )
    chain = done.critical_path
    typer.echo(f"critical path: {len(chain)} resources, {' -> '.join(chain)}")


@app.command()
def graph(
    stack: Stack,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it to this file too.", show_default=False)
    ] = None,
    output: Annotated[Literal["text", "json"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Show the order of installation: what waits for what, what can go on at once, the critical path."""
    from ops.graph import graph as run
    from rehearsal.project import project_root

    for warning in run(stack, project_root(), svg=svg, output=output):
        typer.echo(f"warning: {warning}", err=True)


@app.command()
def rehearse(
    stack: Stack,
    *,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Take it down again with `pulumi destroy`; the cluster stays.")
    ] = False,
) -> None:
    """Deploy a stack to a simulated cluster on this machine, with the real engine and controllers."""
    from rich.console import Console

    from rehearsal import rehearse as rehearsal
    from rehearsal.project import project_root

    console = Console()
    if destroy:
        changes = rehearsal.destroy(stack, project_root(), console)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(changes.items()))
        console.print(f"pulumi destroy: {counts}", highlight=False)
    else:
        rehearsal.rehearse(stack, project_root(), console)


@app.command()
def env(stack: Stack) -> None:
    """Print what a shell needs to run `pulumi` by hand on a rehearsed stack: eval "$(vp env STACK)"."""
    from ops.environment import shell_exports
    from rehearsal.project import project_root

    typer.echo(shell_exports(stack, project_root()))


@app.command(context_settings=_GROUP, add_help_option=False)
def cluster(context: typer.Context) -> None:
    """Rehearsal clusters: up, down, status, nodes."""
    from ops.cluster_cli import app as group

    group(context.args, prog_name="vp cluster")


@app.command(context_settings=_GROUP, add_help_option=False)
def tools(context: typer.Context) -> None:
    """The tools of the rehearsal: build, list, clean."""
    from ops.tools_cli import app as group

    group(context.args, prog_name="vp tools")


def main() -> None:
    """Run `vp`. What the user can put right is said in words on stderr, never with a traceback."""
    sys.exit(_outcome(app))


def _outcome(command: Callable[[], object]) -> int:
    """Exit status of a command, 1 or more for an error of ours; Typer's own endings raise SystemExit."""
    from rehearsal.errors import UserError
    from settings.problems import SettingsError

    try:
        command()
    except UserError as error:
        typer.echo(str(error), err=True)
        return error.exit_code
    except SettingsError as error:
        typer.echo(str(error), err=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    main()
