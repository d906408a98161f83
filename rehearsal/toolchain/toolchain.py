"""The tools that a checkout works with: `ensure_tools` builds what is missing, `Toolchain` finds it."""

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from rehearsal.errors import UserError
from rehearsal.toolchain.build import Builder
from rehearsal.toolchain.children import Children
from rehearsal.toolchain.cleaning import disk_use, human_size
from rehearsal.toolchain.display import duration, shown
from rehearsal.toolchain.failure import failures_text
from rehearsal.toolchain.golang import Go, find_go
from rehearsal.toolchain.job import Job
from rehearsal.toolchain.outputs import Output, link_output, output_of, unlink_tool
from rehearsal.toolchain.places import Places, default_places
from rehearsal.toolchain.pulumi_install import PulumiInstall, install_kubernetes_plugin, pulumi_command
from rehearsal.toolchain.schedule import Capacity, capacity_now, run_jobs
from rehearsal.toolchain.table import ALL_TOOLS, PULUMI_TOOLS, TOOLS, tool_named
from rehearsal.toolchain.tool import Tool


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Tools that stand, and the environment to run them in.

    :param pulumi: which pulumi; its tools are among ours only when it is a built one.
    """

    places: Places
    pulumi: PulumiInstall

    def bin(self, name: str) -> Path:
        """Path of a program, such as `kube-apiserver` or `pulumi`.

        :raises UserError: it was not built.
        """
        path = self.pulumi.path if name == "pulumi" else self.places.links / name
        if not path.exists():
            raise UserError(f"{name} is not built yet: run `vp tools build` (or `make up`).")
        return path

    def assets(self, tool: str) -> Path:
        """Folder of the files that belong to a tool; each keeps its path in the tool's Go module.

        :raises UserError: the tool was not built.
        """
        path = self.places.asset_links / tool
        if not path.exists():
            raise UserError(f"The files of {tool} are not there yet: run `vp tools build` (or `make up`).")
        return path

    def env(self) -> dict[str, str]:
        """Environment for pulumi and the other tools: this one, with this Python and our tools first on PATH.

        This Python comes first because the language host that is built here runs whatever `python3` it finds
        on PATH.
        """
        path = os.pathsep.join(
            [str(Path(sys.prefix) / "bin"), str(self.places.links), os.environ.get("PATH", os.defpath)]
        )
        environment = os.environ | {"PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        if self.pulumi.built:
            environment["PULUMI_HOME"] = str(self.places.pulumi_home)
        return environment


def ensure_tools(
    names: Iterable[str],
    console: Console,
    *,
    places: Places | None = None,
    table: tuple[Tool, ...] = TOOLS,
    go: Go | None = None,
    capacity: Capacity | None = None,
) -> Toolchain:
    """Build the tools that are missing and link them into the checkout.

    Costs some milliseconds when everything stands. Where a fitting pulumi is on PATH, the tools for pulumi
    are left out; where it is a built one, the Kubernetes plugin is installed for it.

    :param names: of tools in the table.
    :raises UserError: a tool could not be built (the others are), or the platform is not supported.
    :raises KeyboardInterrupt: Ctrl-C; what was compiled so far is kept.
    """
    places = places or default_places()
    wanted = [tool_named(name, table) for name in dict.fromkeys(names)]
    pulumi = pulumi_command(places)
    if not pulumi.built:
        left_out = [tool for tool in table if tool.name in PULUMI_TOOLS]
        wanted = [tool for tool in wanted if tool not in left_out]
        for tool in left_out:
            unlink_tool(tool, places)
    go = go or find_go()
    outputs = [output_of(tool, places, go) for tool in wanted]
    missing = [output for output in outputs if not output.complete]
    if missing:
        if pulumi.note and any(output.tool.name in PULUMI_TOOLS for output in missing):
            note = f"tools: {pulumi.note}: the pinned one is built instead"
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        _build(missing, places, go, console, capacity or capacity_now())
    for output in outputs:
        link_output(output, places)
    toolchain = Toolchain(places=places, pulumi=pulumi)
    _install_plugin(toolchain, outputs)
    return toolchain


def find_tools(names: Iterable[str] = ALL_TOOLS, *, places: Places | None = None) -> Toolchain:
    """The tools as they stand, for commands that must not start a build.

    :raises UserError: one of them is not built.
    """
    places = places or default_places()
    toolchain = Toolchain(places=places, pulumi=pulumi_command(places))
    for tool in (tool_named(name) for name in names):
        if toolchain.pulumi.built or tool.name not in PULUMI_TOOLS:
            for binary in tool.binaries:
                toolchain.bin(binary.name)
    return toolchain


def _build(missing: list[Output], places: Places, go: Go, console: Console, capacity: Capacity) -> None:
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    jobs = [Job(output=output, log=places.logs / f"{output.tool.name}.log") for output in missing]
    at_once = min(len(jobs), capacity.at_once)
    # The seconds in the table are those of two cores.
    guess = max(
        sum(job.tool.seconds for job in jobs) * 2 / max(2, capacity.cores),
        max(job.tool.seconds for job in jobs) / 2,
    )
    say(
        f"tools: building {len(jobs)} from source, up to {at_once} at once, "
        f"about {duration(guess)} the first time; kept in {places.outputs}"
    )
    builder = Builder(
        places=places, go=go, children=Children(), compiler_memory_mib=capacity.compiler_memory_mib
    )
    began = time.monotonic()
    try:
        with shown(console) as display:
            run_jobs(jobs, builder, capacity, display)
    except KeyboardInterrupt:
        say("tools: stopped; what was compiled is kept, and the next `make up` goes on from there")
        raise
    failures = [job.failure for job in jobs if job.failure is not None]
    if failures:
        raise UserError(failures_text(failures, len(jobs)))
    tools, caches = disk_use(places)
    say(
        f"tools: built in {duration(time.monotonic() - began)}; on disk {human_size(tools)}, "
        f"and {human_size(caches)} that only a build needs (`vp tools clean` frees them)"
    )


def _install_plugin(toolchain: Toolchain, outputs: list[Output]) -> None:
    provider = next((output for output in outputs if output.tool.name == "pulumi-kubernetes"), None)
    # Without the CLI there is nothing to install it with, and nothing that needs it.
    if provider is not None and toolchain.pulumi.path.exists():
        install_kubernetes_plugin(toolchain.bin("pulumi"), provider, toolchain.places, toolchain.env())
