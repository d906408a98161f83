"""Plugins of Pulumi that a killed `pulumi` left behind.

Pulumi starts its providers and its language host as processes of their own; killed with -9 it can not end them, and they wait for ever. They are
known by what only this rehearsal gave them, the address of its state, and by having no `pulumi` above them any more.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

_PLUGINS = ("pulumi-resource-", "pulumi-language-")
GRACE_SECONDS = 3.0


def backend_url(state: Path) -> str:
    """Address of the Pulumi state in a folder, as every run of the rehearsal gives it.

    `metadata=skip`: beside each file the backend would write another one with its attributes, in place. A run that is killed
    just then leaves it empty, and no later run can read the state ("failed to load checkpoint: EOF"). The state itself is
    written beside and moved, so it is always whole.
    """
    return f"{state.as_uri()}?metadata=skip"


def stop_orphans(state: Path) -> int:
    """End the orphaned plugins of one rehearsal's state folder. Returns how many there were."""
    found = list(_orphans(backend_url(state)))
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(found, timeout=GRACE_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(found)


def _orphans(backend: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        # The language host's script runs as an argument of Python.
        if not any(Path(word).name.startswith(_PLUGINS) for word in words[:2]):
            continue
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get("PULUMI_BACKEND_URL") == backend
            if ours and not any(parent.name() == "pulumi" for parent in process.parents()):
                yield process
