"""`vp prices`: the price lists behind `vp cost` and `vp fit`."""

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console

from ops.prices.refresh import refresh as run
from rehearsal.project import project_root

app = typer.Typer(no_args_is_help=True, help="The price lists behind `vp cost` and `vp fit`.")


@app.callback()
def group() -> None:
    """Keep `refresh` a command of its own while it is the only one."""


@app.command()
def refresh(
    region: Annotated[
        list[str] | None, typer.Option(help="A region more than the lists have; may be repeated.")
    ] = None,
) -> None:
    """Ask AWS for every price, and write both lists with today's date. Needs `pricing:GetProducts`, changes nothing else."""
    console = Console(stderr=True)
    with console.status("asking AWS") as status:
        done = run(
            project_root() / "settings" / "data",
            region or [],
            dt.datetime.now(tz=dt.UTC).date(),
            lambda what: status.update(f"asking AWS: {what}"),
        )
    for line in done.changed:
        typer.echo(line)
    if done.missing:
        typer.echo(f"not on the list: {', '.join(done.missing)}")
    typer.echo(f"{len(done.changed)} prices changed, written: {', '.join(file.name for file in done.files)}")
