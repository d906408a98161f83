"""Builds and finds what the rehearsal runs on: etcd, Kubernetes, KWOK, KServe; pulumi where there is none.

`ensure_tools(names, console)` is the way in.
"""

from rehearsal.toolchain.places import Places, default_places
from rehearsal.toolchain.pulumi_install import PulumiInstall, pulumi_command
from rehearsal.toolchain.table import ALL_TOOLS, PULUMI_TOOLS, REHEARSAL_TOOLS
from rehearsal.toolchain.toolchain import Toolchain, ensure_tools, find_tools

__all__ = [
    "ALL_TOOLS",
    "PULUMI_TOOLS",
    "REHEARSAL_TOOLS",
    "Places",
    "PulumiInstall",
    "Toolchain",
    "default_places",
    "ensure_tools",
    "find_tools",
    "pulumi_command",
]
