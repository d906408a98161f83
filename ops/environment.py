"""`vp env`: what a shell needs to run `pulumi` by hand on a rehearsal stack."""

import os
import shlex
from pathlib import Path

from rehearsal.cluster.layout import ClusterLayout
from rehearsal.errors import UserError
from rehearsal.toolchain import find_tools
from rehearsal.workspace import project_folder, pulumi_environment


def shell_exports(stack: str, root: Path) -> str:
    """Lines for `eval`: exported variables, and a change into the rehearsal's project folder.

    :raises UserError: the stack was not rehearsed yet, or the tools are not built.
    """
    layout = ClusterLayout(project_root=root, name=stack)
    folder = project_folder(layout)
    if not folder.is_dir():
        raise UserError(f"Stack {stack} was not rehearsed yet: run `vp rehearse {stack}` first.")
    environment = pulumi_environment(layout, find_tools())
    changed = {name: value for name, value in sorted(environment.items()) if os.environ.get(name) != value}
    return "\n".join(
        [
            *(f"export {name}={shlex.quote(value)}" for name, value in changed.items()),
            f"cd {shlex.quote(str(folder))}",
        ]
    )
