"""`vp tools`: build the tools of the rehearsal, look at them, free the disk space that only a build needs."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rehearsal.errors import UserError
from rehearsal.toolchain import ALL_TOOLS, default_places, ensure_tools, pulumi_command
from rehearsal.toolchain.cleaning import disk_use, folder_bytes, human_size, remove_go_caches
from rehearsal.toolchain.golang import find_go
from rehearsal.toolchain.outputs import output_of
from rehearsal.toolchain.table import PULUMI_TOOLS, TOOLS

app = typer.Typer(no_args_is_help=True, help="The tools of the rehearsal, built from pinned Go modules.")


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tools; all when left out.", show_default=False)
    ] = None,
) -> None:
    """Build the tools that are missing. What was interrupted goes on from where it was."""
    wanted = names or list(ALL_TOOLS)
    unknown = sorted(set(wanted) - set(ALL_TOOLS))
    if unknown:
        raise UserError(f"There is no tool {', '.join(unknown)}. There are: {', '.join(ALL_TOOLS)}.")
    console = Console()
    toolchain = ensure_tools(wanted, console)
    pulumi = "" if toolchain.pulumi.built else f"; pulumi is {toolchain.pulumi.path}"
    console.print(
        f"tools: all stand, linked from {toolchain.places.links}{pulumi}", highlight=False, soft_wrap=True
    )


@app.command("list")
def list_() -> None:
    """Show every tool: version, whether it stands, how long its build took, size."""
    places, go, console = default_places(), find_go(), Console()
    pulumi = pulumi_command(places)
    table = Table()
    for column in ("tool", "version", "state", "built in", "size", "programs"):
        table.add_column(
            column, justify="right" if column in {"built in", "size"} else "left", overflow="fold"
        )
    for tool in TOOLS:
        output = output_of(tool, places, go)
        programs = ", ".join(binary.name for binary in tool.binaries) or "none: data only"
        if not pulumi.built and tool.name in PULUMI_TOOLS:
            table.add_row(tool.name, output.version, f"not needed: {pulumi.path}", "", "", programs)
        elif output.complete:
            size = human_size(folder_bytes(output.folder))
            table.add_row(
                tool.name,
                output.version,
                "ready",
                f"{output.manifest()['build_seconds']:.0f} s",
                size,
                programs,
            )
        else:
            table.add_row(tool.name, output.version, "not built", "", "", programs)
    console.print(table)
    tools, caches = disk_use(places)
    console.print(
        f"on disk: tools {human_size(tools)}, what only a build needs {human_size(caches)} (`vp tools clean`)",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def clean() -> None:
    """Remove downloaded Go modules and compiled packages. Finished tools stay; a later build starts from nothing."""
    places = default_places()
    freed = remove_go_caches(places)
    Console().print(
        f"{human_size(freed)} freed in {places.cache}; the finished tools stay.",
        highlight=False,
        soft_wrap=True,
    )
