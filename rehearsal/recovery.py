"""The file backend of a rehearsal, and what a killed run of Pulumi leaves in it: its lock and its plugins."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from rehearsal.cluster.orphans import stop_orphans
from rehearsal.errors import UserError

_OBJECT: Final = "kubernetes:"
_RELEASE: Final = "kubernetes:helm.sh/"
_PATCH: Final = "Patch"


def recover(state: Path, stack: str) -> list[str]:
    """Return what was put right, in words; nothing where no run was killed. Raises UserError beside a run that lives."""
    locks = list(state.glob(".pulumi/locks/**/*.json"))
    for lock in locks:
        _refuse_if_alive(lock, stack)
        lock.unlink(missing_ok=True)
    if not locks:
        return []
    stop_orphans(state)
    return [f"removed the lock of an earlier run of {stack} that was killed"]


def _refuse_if_alive(lock: Path, stack: str) -> None:
    try:
        pid = int(json.loads(lock.read_text())["pid"])
    except (ValueError, KeyError):
        return
    if pid > 0 and psutil.pid_exists(pid) and "pulumi" in psutil.Process(pid).name():
        message = f"another Pulumi (process {pid}) works on stack {stack} right now. Wait for it, or stop it, and try again."
        raise UserError(message)


def with_begun(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deployment that has the objects whose making a killed run began, so that a refresh looks for them.

    Without it an object that was made, and that the next program does not want any more, would stay for ever: no state
    knows it. One that was not made is taken out by the refresh. What Helm was installing is left to Helm. A patch makes nothing, and
    one that is begun again waits again.
    """
    operations: list[dict[str, Any]] = deployment.get("pending_operations") or []
    begun = [found for operation in operations if (found := _begun(operation)) is not None]
    known = {resource["urn"] for resource in deployment["resources"]}
    return {
        **deployment,
        "resources": [*deployment["resources"], *(one for one in begun if one["urn"] not in known)],
        "pending_operations": [],
    }


def _begun(operation: Mapping[str, Any]) -> dict[str, Any] | None:
    resource: dict[str, Any] = operation["resource"]
    kind, metadata = str(resource["type"]), resource.get("inputs", {}).get("metadata", {})
    if operation["type"] != "creating" or not kind.startswith(_OBJECT):
        return None
    if kind.startswith(_RELEASE) or kind.endswith(_PATCH):
        return None
    if "name" not in metadata:
        return None
    # As the provider forms it.
    where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return {**resource, "id": where + metadata["name"]}
