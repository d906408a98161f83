"""Starts the processes of one cluster, waits until they work, and says which one does not."""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import httpx

from rehearsal.cluster.api import Api, ApiError, Object, has_condition, wait_until
from rehearsal.cluster.control_plane import LOOPBACK
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.processes import ProcessTable, Started, log_tail
from rehearsal.errors import UserError

# Seconds until a step counts as failed. A loaded 2-core machine needed 12 s for the API server (2026-11-22); idle it is ready after 3 s.
READY_SECONDS = 90.0


class PortTakenError(Exception):
    """A process could not listen on the port that was free a moment ago."""


class Launcher:
    """Starts processes of one cluster and says which one failed."""

    def __init__(self, layout: ClusterLayout, table: ProcessTable) -> None:
        self._layout = layout
        self._table = table
        layout.tmp.mkdir(parents=True, exist_ok=True)
        # Nothing of the caller's environment: a proxy, a KUBECONFIG or credentials must not reach the cluster.
        self._env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(layout.tmp),
            "TMPDIR": str(layout.tmp),
            "GOMEMLIMIT": "2GiB",
        }

    def __call__(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> Started:
        """Start a process; `environment` comes on top of what all have."""
        return self._table.start(name, command, log=self._log(name), env={**self._env, **(environment or {})})

    def wait(self, what: str, condition: Callable[[], bool], process: str) -> None:
        """Wait for a condition that a process brings about, or say why it can not come."""
        started = time.monotonic()
        if wait_until(condition, seconds=READY_SECONDS, alive=[lambda: not self._table.dead]):
            return
        for entry in self._table.dead:
            tail = log_tail(self._log(entry.name))
            if "address already in use" in tail:
                raise PortTakenError
            message = f"{entry.name} ended while {what} started. Its log: {self._log(entry.name)}\n{tail}"
            raise UserError(message)
        message = f"{what} was not ready after {time.monotonic() - started:.0f} s. Its log: {self._log(process)}\n{log_tail(self._log(process))}"
        raise UserError(message)

    def _log(self, name: str) -> Path:
        return self._layout.logs / f"{name}.log"


def established(api: Api, path: str) -> bool:
    """Whether the definition of a kind at a URL path is in force, and the server says so to whoever asks what it has.

    The second comes a moment later, on a busy machine more than one; a controller that asks too early ends.
    """
    definition = api.fetch(path)
    return has_condition(definition, "Established") and _listed(api, definition)


def _listed(api: Api, definition: Object) -> bool:
    spec = definition["spec"]
    served = [version["name"] for version in spec["versions"] if version["served"]]
    try:
        lists = [api.fetch(f"/apis/{spec['group']}/{version}")["resources"] for version in served]
        return all(spec["names"]["kind"] in {one["kind"] for one in kinds} for kinds in lists)
    except ApiError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return False
        raise


def http_ok(port: int, path: str) -> bool:
    """Whether a process answers a request for its health on loopback."""
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}{path}", timeout=1.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all held at once so that they differ."""
    with contextlib.ExitStack() as stack:
        numbers: list[int] = []
        for _ in range(count):
            s = stack.enter_context(socket.socket())
            s.bind((LOOPBACK, 0))
            numbers.append(s.getsockname()[1])
    return numbers
