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
def fit(
    model: Annotated[
        str,
        typer.Argument(help="Model of the stack, or a key of settings/data/models.yaml.", show_default=False),
    ],
    pool: Annotated[
        str, typer.Argument(help="Pool of the stack, or an EC2 instance type.", show_default=False)
    ],
    *,
    stack: Annotated[str, typer.Option(help="Stack: STACK in Pulumi.STACK.yaml.")] = "local",
    tensor_parallel: Annotated[
        int | None, typer.Option(min=1, help="GPUs of one replica.", show_default=False)
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, help="Tokens of one request.", show_default=False)
    ] = None,
    max_num_seqs: Annotated[
        int | None, typer.Option(min=1, help="Requests at once.", show_default=False)
    ] = None,
    output: Annotated[Literal["text", "json"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Show whether a model fits on a GPU, step by step, how many replicas a node holds, and its price an hour."""
    from ops.fit import Asked
    from ops.fit import fit as run
    from rehearsal.project import project_root

    asked = Asked(tensor_parallel=tensor_parallel, max_model_len=max_model_len, max_num_seqs=max_num_seqs)
    raise typer.Exit(run(model, pool, project_root() / f"Pulumi.{stack}.yaml", asked, output))


@app.command()
def cost(
    stack: Stack,
    *,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Show what changes since this commit, branch or tag.", show_default=False
        ),
    ] = None,
    output: Annotated[Literal["text", "json", "markdown"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Show what a stack costs a month: at fewest, as expected and at most, line by line and by model."""
    from ops.cost.command import cost as run
    from rehearsal.project import project_root

    raise typer.Exit(run(stack, project_root(), output, against))


@app.command()
def review(
    base: Annotated[str, typer.Argument(help="Commit, branch or tag to compare with.", show_default=False)],
    head: Annotated[str, typer.Argument(help="Commit, branch or tag that is reviewed.")] = "HEAD",
    *,
    stack: Annotated[
        list[str] | None, typer.Option(help="Of this stack; may be repeated. Else of those that are touched.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Folder with STACK.rehearsal.txt and STACK.preview.txt.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the comment to this file.", show_default=False)
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="A result that must be there: rehearsal, preview. May be repeated."),
    ] = None,
    touched: Annotated[
        bool, typer.Option("--touched", help="Print the touched stacks that are there as JSON, and end.")
    ] = False,
    deployable: Annotated[
        bool, typer.Option("--deployable", help="With --touched: only those that a pipeline can deploy.")
    ] = False,
) -> None:
    """Show what a change does to each stack it touches: checks, render, policies, cost, fit. Markdown, for a pull request."""
    from ops.review import command
    from rehearsal.project import project_root

    root = project_root()
    if touched:
        import json

        found = command.there(root, *command.sides(root, base, head), deployable=deployable)
        typer.echo(json.dumps(found))
        return
    text, refused = command.review(
        root, base, head, stacks=stack or [], results=results, expected=expect or []
    )
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
    raise typer.Exit(1 if refused else 0)


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
    only: Annotated[
        Literal["security"] | None,
        typer.Option(help="Write this part alone, for `kubectl apply -f`.", show_default=False),
    ] = None,
) -> None:
    """Write every object that a stack would deploy to files, without a cloud or a cluster."""
    from ops.render import render as run
    from rehearsal.project import project_root

    if only == "security":
        from ops.security_set import render_security

        made = render_security(stack, project_root(), out)
        typer.echo(f"{stack}: {made.objects} objects of {', '.join(made.kinds)}, in {made.file}")
        return
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
def policy(
    stack: Stack,
    output: Annotated[Literal["text", "json"], typer.Option(help="Form of the result.")] = "text",
) -> None:
    """Hold what a stack would deploy against the rules of the policy pack, without a cloud or a cluster."""
    from ops.policy import policy as run
    from rehearsal.project import project_root

    raise typer.Exit(run(stack, project_root(), output))


@app.command()
def image(
    stack: Stack,
    model: Annotated[str, typer.Argument(help="Name of a model of the stack.", show_default=False)],
) -> None:
    """Print the command that builds and pushes a model's image, with SBOM and provenance, for a pipeline."""
    from ops.image import image_command
    from rehearsal.project import project_root

    typer.echo(image_command(stack, model, project_root()))


@app.command()
def dashboards(
    stack: Stack,
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
) -> None:
    """Write a stack's dashboards as files, for a Grafana that does not read them from the cluster."""
    from ops.dashboards import write_dashboards
    from rehearsal.project import project_root

    files = write_dashboards(stack, project_root(), out)
    typer.echo(f"{stack}: {len(files)} dashboards in {out}: {', '.join(file.name for file in files)}")


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
def catalogue(context: typer.Context) -> None:
    """Ready settings of models: list, show."""
    from ops.catalogue_cli import app as group

    group(context.args, prog_name="vp catalogue")


@app.command(context_settings=_GROUP, add_help_option=False)
def prices(context: typer.Context) -> None:
    """The price lists behind `vp cost` and `vp fit`: refresh."""
    from ops.prices.cli import app as group

    group(context.args, prog_name="vp prices")


@app.command(context_settings=_GROUP, add_help_option=False)
def rollout(context: typer.Context) -> None:
    """Bring a new release of a model in by steps, watched by a judge: vp rollout MODEL --stack STACK --to IMAGE."""
    from ops.rollout.cli import app as group

    group(context.args, prog_name="vp rollout")


@app.command()
def promote(
    source: Annotated[str, typer.Argument(help="Stack whose release set is taken.", show_default=False)],
    target: Annotated[str, typer.Argument(help="Stack whose file gets it.", show_default=False)],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare: status 1 where the file says something else.")
    ] = False,
    rehearsal: Annotated[
        bool, typer.Option("--rehearsal", help="Ask the source's rehearsal, on this machine.")
    ] = False,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another Prometheus than the source's own.", show_default=False),
    ] = None,
    without_objectives: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Ask for no objectives; the release notes say why.", show_default=False
        ),
    ] = None,
) -> None:
    """Bring what one stack ran into the file of the next one, as a commit on a branch: images, revisions, charts, flags."""
    from ops.promotion.cli import promote as run
    from rehearsal.project import project_root

    status = run(
        source,
        target,
        project_root(),
        check=check,
        rehearsal=rehearsal,
        prometheus=prometheus,
        without_objectives=without_objectives,
    )
    raise typer.Exit(status)


@app.command()
def rollback(
    stack: Stack,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Commit on the branch that is checked out, and run `pulumi up`.")
    ] = False,
    rehearsal: Annotated[
        bool, typer.Option("--rehearsal", help="Work on the stack's rehearsal, on this machine.")
    ] = False,
) -> None:
    """Bring back what a stack ran before, as a commit on a branch; or at once."""
    from ops.promotion.cli import rollback as run
    from rehearsal.project import project_root

    raise typer.Exit(run(stack, project_root(), at_once=now, rehearsal=rehearsal))


@app.command(context_settings=_GROUP, add_help_option=False)
def token(context: typer.Context) -> None:
    """Test tokens for stacks of `dev`: vp token STACK --consumer NAME --key FILE; vp token keys makes the key."""
    from ops.token_cli import app as group

    group(context.args, prog_name="vp token")


@app.command(context_settings=_GROUP, add_help_option=False)
def vault(context: typer.Context) -> None:
    """What a stack's Vault is told: show, configure."""
    from ops.vault_cli import app as group

    group(context.args, prog_name="vp vault")


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
