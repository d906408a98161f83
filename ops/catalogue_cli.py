"""`vp catalogue`: ready settings of models, to be copied into a stack file."""

import datetime as dt
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ops.catalogue import COLUMNS, rows
from ops.check import LOG_WIDTH
from rehearsal.errors import UserError
from settings.facts import prices
from settings.ready_models import REGION, entry_text, ready_models
from settings.structure import suggest

app = typer.Typer(no_args_is_help=True, help="Ready settings of models, to be copied into a stack file.")


@app.command("list")
def list_() -> None:
    """Show every ready model: GPUs, memory, most requests at once, replicas a node, price an hour."""
    table = Table()
    # The model's whole name would take the room of the figures; `show` has it.
    shown = [index for index, column in enumerate(COLUMNS) if column != "model"]
    for column in (COLUMNS[index] for index in shown):
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows():
        table.add_row(*(row.cells()[index] for index in shown))
    console = Console()
    console = console if console.is_terminal else Console(width=LOG_WIDTH)
    console.print(table)
    console.print(
        f"on: the cheapest instance type; prices on demand in {REGION}, list of {prices().date}",
        highlight=False,
    )
    if warning := prices().warning(dt.datetime.now(tz=dt.UTC).date()):
        console.print(f"warning: {warning}", highlight=False)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Ready model.", show_default=False)]) -> None:
    """Print a ready model as it goes below `vllm-platform:models:` of a stack file."""
    if name not in ready_models():
        hint = suggest(name, ready_models())
        raise UserError(f"There is no ready model {name}: {hint}there are {', '.join(ready_models())}.")
    typer.echo(entry_text(name), nl=False)
