"""The tools of the rehearsal, as the table that builds them has them."""

from pathlib import Path

from docs.generator.tables import listed, table
from rehearsal.toolchain.gomod import required_version
from rehearsal.toolchain.table import TOOLS
from rehearsal.toolchain.tool import Tool


def tools_table(root: Path) -> str:
    """Return one row a tool: what it is built from, and what comes out."""
    rows = [
        (
            f"`{tool.name}`",
            f"`{tool.module}`",
            _version(tool, root),
            listed(binary.name for binary in tool.binaries) or "none: data only",
            f"{tool.seconds} s",
            f"{tool.memory_mib:,} MiB",
        )
        for tool in TOOLS
    ]
    return table(("tool", "Go module", "version", "programs", "build", "memory"), rows)


def _version(tool: Tool, root: Path) -> str:
    version = required_version(root / "tools" / tool.name / "go.mod", tool.module)
    return f"`{version}`" if not tool.released_as else f"`{tool.released_as}` (`{version}`)"
