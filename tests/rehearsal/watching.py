"""Sees every state that an object goes through, as the API server tells it: nothing between two looks is missed."""

import http.client
import json
import socket
import ssl
import threading
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Object, resource_path, wait_until
from rehearsal.cluster.layout import ClusterLayout

SECONDS: Final = 60


class Watcher:
    """Watches one object in a thread while it is a context; at its end the last state has been seen."""

    def __init__(self, layout: ClusterLayout, api_version: str, kind: str, name: str, namespace: str) -> None:
        self._layout = layout
        self._object = (api_version, kind, name, namespace)
        context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        address = urlsplit((layout.root / "server").read_text().strip())
        self._connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=context)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._over = False
        self._events: list[tuple[str, Object]] = []

    @property
    def states(self) -> list[Object]:
        """Every state that was told, oldest first."""
        return [state for _, state in self._events]

    def values(self, *path: str, default: Any = 0) -> list[Any]:  # noqa: ANN401 - whatever stands there
        """A field in every state; one that did not change counts once."""
        found: list[Any] = []
        for state in self.states:
            value: Any = state
            for key in path:
                value = cast("Object", value).get(key, {})
            value = default if value == {} else value
            if not found or found[-1] != value:
                found.append(value)
        return found

    def __enter__(self) -> Self:
        api_version, kind, name, namespace = self._object
        path = resource_path(api_version, kind, namespace)
        self._connection.request("GET", f"{path}?watch=true&fieldSelector=metadata.name%3D{name}")
        self._socket = self._connection.sock
        self._thread.start()
        assert wait_until(self._is_up_to_date, seconds=SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seen = wait_until(self._is_up_to_date, seconds=SECONDS)
        self._over = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._connection.close()
        assert seen, "the watch ended before the object's last state"

    def _is_up_to_date(self) -> bool:
        api_version, kind, name, namespace = self._object
        with lifecycle.connect(self._layout) as api:
            now = api.get(api_version, kind, name, namespace)
        if now is None:
            return bool(self._events) and self._events[-1][0] == "DELETED"
        version = now["metadata"]["resourceVersion"]
        return any(state["metadata"]["resourceVersion"] == version for state in self.states)

    def _read(self) -> None:
        try:
            for line in self._connection.getresponse():
                event = json.loads(line)
                self._events.append((event["type"], event["object"]))
        except (http.client.HTTPException, OSError, ValueError):
            # Closed from outside: enough was seen.
            if not self._over:
                raise
