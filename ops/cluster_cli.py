"""`vp cluster`: start, look at and remove rehearsal clusters."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rehearsal.cluster import lifecycle
from rehearsal.cluster.layout import ClusterLayout, existing_clusters
from rehearsal.cluster.nodes import node_use
from rehearsal.project import project_root
from rehearsal.rehearse import plan, start_cluster
from rehearsal.toolchain import PULUMI_TOOLS, REHEARSAL_TOOLS, ensure_tools

app = typer.Typer(
    no_args_is_help=True, help="Rehearsal clusters: a real control plane on loopback with simulated nodes."
)
Name = Annotated[
    str, typer.Argument(help="Cluster; it bears the name of the stack whose pools it stands in for.")
]
OneOrAll = Annotated[str | None, typer.Argument(help="Cluster; all clusters of this checkout when left out.")]


def _chosen(name: str | None) -> list[ClusterLayout]:
    """The named cluster, whether it is there or not; without a name, all that are."""
    root = project_root()
    return [ClusterLayout(project_root=root, name=name)] if name else existing_clusters(root)


@app.command()
def up(
    name: Name = "local",
    *,
    bare: Annotated[
        bool, typer.Option("--bare", help="Neither nodes nor KServe; the name need not be a stack's.")
    ] = False,
) -> None:
    """Start a cluster with its simulated nodes; one that runs is brought in line with its stack file."""
    console = Console()
    tools = ensure_tools([t for t in REHEARSAL_TOOLS if t not in PULUMI_TOOLS], console)
    if bare:
        layout = ClusterLayout(project_root=project_root(), name=name)
        with console.status("starting the cluster") as status:
            lifecycle.up(layout, tools, status.update, with_kserve=False)
    else:
        layout, nodes = start_cluster(plan(name, project_root()), project_root(), tools, console)
        console.print(
            f"nodes: {nodes.created} new, {nodes.replaced} replaced, {nodes.deleted} removed, {nodes.unchanged} unchanged",
            highlight=False,
        )
    console.print(f"cluster {name} runs: KUBECONFIG={layout.kubeconfig}", highlight=False, soft_wrap=True)


@app.command()
def down(name: OneOrAll = None) -> None:
    """Stop a cluster's processes and remove its files, the Pulumi state of its stack among them."""
    console = Console()
    layouts = _chosen(name)
    if not layouts:
        console.print("no rehearsal cluster is there")
    for layout in layouts:
        stopped = lifecycle.down(layout)
        console.print(f"cluster {layout.name}: {stopped} processes stopped, files removed", highlight=False)


@app.command()
def status(name: OneOrAll = None) -> None:
    """Show each cluster's processes. Exit status 1 if one of them has dead processes, or the named one is not there."""
    console = Console()
    layouts = _chosen(name)
    table = Table()
    for column in ("cluster", "state", "running", "ended without `down`", "memory MiB"):
        table.add_column(column)
    states: list[str] = []
    for layout in layouts:
        found = lifecycle.status(layout)
        states.append(found.state)
        running = ", ".join(f"{s.name} ({s.pid})" for s in found.alive)
        table.add_row(
            layout.name,
            found.state,
            running,
            ", ".join(s.name for s in found.dead),
            str(lifecycle.memory_mib(found)),
        )
    console.print(table if layouts else "no rehearsal cluster is there")
    if "dead" in states or (name and "absent" in states):
        raise typer.Exit(1)


@app.command()
def nodes(name: Name = "local") -> None:
    """Show pools and zones with the GPUs that are used and free."""
    layout = ClusterLayout(project_root=project_root(), name=name)
    with lifecycle.connect(layout) as api:
        use = node_use(api)
    table = Table()
    for column in ("pool", "zone", "instance", "nodes", "ready", "pods", "GPUs", "used", "free"):
        table.add_column(column, justify="left" if column in {"pool", "zone", "instance"} else "right")
    for u in use:
        cells = (u.nodes, u.ready, u.pods, u.gpus, u.gpus_used, u.gpus - u.gpus_used)
        table.add_row(u.pool, u.zone, u.instance_type, *map(str, cells))
    Console().print(table)
