"""A project with tiny tools, so that tests build with the real Go compiler in a second and without a network."""

import shlex
import sys
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from rehearsal.toolchain import Toolchain, ensure_tools
from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.places import Places
from rehearsal.toolchain.tool import Binary, Tool

ROOT = Path(__file__).resolve().parents[2]
GOOD_SOURCE = 'package main\n\nvar version string\n\nfunc main() { println("version", version) }\n'
BAD_SOURCE = "package main\n\nfunc main() { notDefined() }\n"
_COMMAND = """
import sys
from pathlib import Path
from rich.console import Console
from rehearsal.toolchain import Places, ensure_tools
from rehearsal.toolchain.tool import Binary, Tool
places = Places(project=Path(sys.argv[1]), cache=Path(sys.argv[2]))
table = tuple(
    Tool(name=n, module="none", released_as="v1.2.3", binaries=(Binary(name=n, package="."),), memory_mib=1, seconds=1)
    for n in sys.argv[3:]
)
try:
    ensure_tools(sys.argv[3:], Console(), places=places, table=table)
except KeyboardInterrupt:
    sys.exit(130)
"""


@dataclass(frozen=True, kw_only=True)
class TinyProject:
    """A checkout with tools of its own, and a compiler that keeps a record of how it was called.

    :param calls: one line per call of the compiler.
    """

    places: Places
    go: Go
    calls: Path

    def add_tool(self, name: str, source: str = GOOD_SOURCE) -> Tool:
        """Write a Go module and give its row of the table."""
        folder = self.places.modules / name
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module vllm-platform/tools/{name}\n\ngo 1.27\n")
        (folder / "go.sum").write_text("")
        (folder / "main.go").write_text(source)
        return Tool(
            name=name,
            module="none",
            released_as="v1.2.3",
            binaries=(Binary(name=name, package="."),),
            stamps=("main.version={version}",),
            memory_mib=100,
            seconds=1,
        )

    def build(self, *tools: Tool) -> Toolchain:
        """Build tools as `make up` does."""
        names = [tool.name for tool in tools]
        console = Console(file=StringIO(), width=200)
        return ensure_tools(names, console, places=self.places, table=tools, go=self.go)

    def builds(self) -> int:
        """How often `go build` was called."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(line.startswith("build ") for line in lines)

    def command(self, *names: str) -> list[str]:
        """A command line that builds tools in a process of its own."""
        return [sys.executable, "-c", _COMMAND, str(self.places.project), str(self.places.cache), *names]


def tiny_project(folder: Path, go: Go, shared_go_cache: Path | None) -> TinyProject:
    """A new project under `folder`.

    :param shared_go_cache: Go's cache of compiled packages that tests share; a build then takes a second. None: an empty one.
    """
    places = Places(project=folder / "project", cache=folder / "cache")
    if shared_go_cache is not None:
        (places.cache / "go").mkdir(parents=True)
        places.go_build.symlink_to(shared_go_cache)
    calls = folder / "calls"
    recording = folder / "goroot" / "bin" / "go"
    recording.parent.mkdir(parents=True)
    recording.write_text(
        f'#!/bin/sh\necho "$@" >> {shlex.quote(str(calls))}\n'
        f'GOROOT={shlex.quote(str(go.binary.parent.parent))} exec {shlex.quote(str(go.binary))} "$@"\n'
    )
    recording.chmod(0o755)
    return TinyProject(places=places, go=replace(go, binary=recording), calls=calls)
