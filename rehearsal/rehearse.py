"""`vp rehearse STACK`: the stack's own program and settings, deployed by the real engine and provider to a simulated cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml
from rich.console import Console

from rehearsal.cluster import lifecycle
from rehearsal.cluster.keda import ensure_keda
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.nodes import Reconciled, node_objects, reconcile_nodes
from rehearsal.definitions import define, tools_of
from rehearsal.errors import UserError
from rehearsal.outcome import ModelOutcome, print_outcomes, wait_for_models
from rehearsal.substitutions import Config, Substitution, substitute
from rehearsal.toolchain import REHEARSAL_TOOLS, Toolchain, ensure_tools
from rehearsal.update import Stack
from rehearsal.workspace import pulumi_environment, write_project
from settings import stack_yaml
from settings.loader import load_stack_file, load_stack_text
from settings.stack import Settings


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a stack becomes in a rehearsal: the changed `config` of its file, the settings it loads to, and what replaces what."""

    stack: str
    config: Config
    settings: Settings
    substitutions: tuple[Substitution, ...]


def plan(stack: str, root: Path) -> Plan:
    """Load a stack and substitute; the result passes the same checks again. Raises SettingsError when the stack's file is refused."""
    path = root / f"Pulumi.{stack}.yaml"
    settings = load_stack_file(path)
    document = cast("dict[str, Config]", stack_yaml.load(path.read_text(encoding="utf-8")))
    original = document["config"]
    config, applied = substitute(original, settings, stack)
    text = yaml.safe_dump({"config": config}, sort_keys=False)
    return Plan(
        stack=stack,
        config=config,
        settings=load_stack_text(stack, text),
        substitutions=tuple(applied),
    )


def start_cluster(
    plan: Plan, root: Path, tools: Toolchain, console: Console
) -> tuple[ClusterLayout, Reconciled]:
    """Start the stack's cluster unless it runs, and bring its nodes in line with the pools."""
    layout = ClusterLayout(project_root=root, name=plan.stack)
    with console.status("starting the cluster") as status:
        if lifecycle.up(layout, tools, status.update):
            console.print(
                f"cluster {layout.name}: started, kubeconfig {layout.kubeconfig}",
                highlight=False,
                soft_wrap=True,
            )
        status.update("bringing the simulated nodes in line with the pools")
        with lifecycle.connect(layout) as api:
            changed = reconcile_nodes(api, node_objects(plan.settings, api.version()))
            # KServe's are the cluster's own.
            kinds = [unit.name for unit in plan.settings.asked.units("existing") if unit.addon != "kserve"]
            if kinds:
                status.update("defining the kinds of add-ons")
                define(api, tools, kinds)
        if "keda" in kinds and ensure_keda(layout, tools, status.update):
            console.print("KEDA: started", highlight=False)
    return layout, changed


def open_stack(plan: Plan, layout: ClusterLayout, tools: Toolchain, console: Console) -> Stack:
    """The Pulumi stack of a rehearsal whose cluster runs."""
    folder = write_project(layout, plan.stack, plan.config)
    return Stack(
        plan.stack,
        folder,
        layout.pulumi_state,
        environment=pulumi_environment(layout, tools),
        pulumi=tools.bin("pulumi"),
        console=console,
    )


def rehearse(stack: str, root: Path, console: Console) -> list[ModelOutcome]:
    """Do it all: tools, cluster, nodes, `pulumi up`, and a look at every model. Raises UserError or SettingsError."""
    chosen = plan(stack, root)
    print_substitutions(console, chosen)
    tools = ensure_tools(_tools_of(chosen), console)
    layout, nodes = start_cluster(chosen, root, tools, console)
    counts = f"{nodes.created} new, {nodes.replaced} replaced, {nodes.deleted} removed, {nodes.unchanged} unchanged"
    console.print(f"nodes: {counts}", highlight=False)
    changes = open_stack(chosen, layout, tools, console).up()
    console.print(
        "pulumi up: " + ", ".join(f"{count} {what}" for what, count in sorted(changes.items())),
        highlight=False,
    )
    with lifecycle.connect(layout) as api:
        outcomes = wait_for_models(api, chosen.settings)
    print_outcomes(console, outcomes)
    return outcomes


def _tools_of(plan: Plan) -> list[str]:
    return list(dict.fromkeys([*REHEARSAL_TOOLS, *tools_of(plan.settings.asked.units("existing"))]))


def destroy(stack: str, root: Path, console: Console) -> dict[str, int]:
    """`pulumi destroy` of a rehearsal stack; its cluster goes on. Raises UserError when the cluster does not run."""
    chosen = plan(stack, root)
    layout = ClusterLayout(project_root=root, name=stack)
    if lifecycle.status(layout).state != "running":
        message = f"the rehearsal cluster {stack} does not run: there is nothing to destroy. `vp cluster down {stack}` removes what is left of it."
        raise UserError(message)
    return open_stack(chosen, layout, ensure_tools(_tools_of(chosen), console), console).destroy()


def print_substitutions(console: Console, plan: Plan) -> None:
    """What this rehearsal replaces, and what it therefore can not show."""
    console.print(f"substitutions in the rehearsal of {plan.stack}", style="bold", highlight=False)
    for s in plan.substitutions:
        lines = (
            f"  {s.what}: {s.stack}",
            f"    here: {s.rehearsal}",
            f"    not exercised: {s.not_exercised}",
        )
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)
