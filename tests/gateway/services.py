"""What kube-proxy and the cluster's DNS do: a Service answers at its own address, and its name leads there.

Connections are carried by this process, so nothing that is measured should go through them: the control plane and Envoy's
way to it do. The load of a test goes to the gateway's pods, as that of a load balancer does that knows pods.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from rehearsal.cluster.api import Api, Object
from tests.gateway.network import add_address

LOOK_SECONDS: Final = 0.2
DISCOVERY: Final = "discovery.k8s.io/v1"
_PIECE: Final = 65536
_Address = tuple[str, int]


class Services:
    """Serves every Service until it is stopped. `hosts` is the file that every container has as its /etc/hosts.

    own: where Services lead that have no pods, by name: the API server's. short: the namespace whose names are known without it,
    as its own pods ask.
    """

    def __init__(self, api: Api, hosts: Path, own: Mapping[str, _Address], short: str) -> None:
        self._api = api
        self._hosts = hosts
        self._own = own
        self._short_in = short
        self._addresses: set[str] = set()
        self._targets: dict[_Address, list[_Address]] = {}
        self._turn = itertools.count()
        self._written = ""
        self._problem: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="services", daemon=True)
        self._write({})
        self._thread.start()

    def stop(self) -> None:
        """Close everything. Raises what went wrong in the meantime."""
        self._stopping.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    async def _run(self) -> None:
        servers: dict[_Address, asyncio.Server] = {}
        try:
            while not self._stopping.is_set():
                services, slices = await asyncio.to_thread(self._find)
                self._write({s["spec"]["clusterIP"]: s for s in services})
                self._targets = dict(self._resolve(services, slices))
                for address in servers.keys() - self._targets.keys():
                    servers.pop(address).close()
                for address in self._targets.keys() - servers.keys():
                    servers[address] = await self._listen(address)
                await asyncio.sleep(LOOK_SECONDS)
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: `stop` tells
            self._problem = error
        for server in servers.values():
            server.close()

    def _find(self) -> tuple[list[Object], list[Object]]:
        services = [
            s for s in self._api.list("v1", "Service") if s["spec"].get("clusterIP", "None") != "None"
        ]
        return services, self._api.list(DISCOVERY, "EndpointSlice")

    def _resolve(
        self, services: list[Object], slices: list[Object]
    ) -> Iterator[tuple[_Address, list[_Address]]]:
        """Yield where each port of each Service leads. One without endpoints refuses connections, as with kube-proxy."""
        for service in services:
            meta = service["metadata"]
            for port in service["spec"].get("ports", []):
                own = self._own.get(meta["name"])
                targets = [own] if own else list(_endpoints(meta, port, slices))
                if targets:
                    yield (service["spec"]["clusterIP"], port["port"]), targets

    async def _listen(self, address: _Address) -> asyncio.Server:
        if address[0] not in self._addresses:
            await asyncio.to_thread(add_address, address[0])
            self._addresses.add(address[0])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            targets = self._targets.get(address, [])
            try:
                if targets:
                    target = targets[next(self._turn) % len(targets)]
                    away, back = await asyncio.open_connection(*target)
                    await asyncio.gather(_carry(reader, back), _carry(away, writer))
            except OSError:
                # A connection that is refused there is refused here.
                pass
            finally:
                writer.close()

        return await asyncio.start_server(serve, *address)

    def _write(self, services: Mapping[str, Object]) -> None:
        """Write the names into the file itself: containers have it mounted."""
        lines = ["127.0.0.1 localhost"]
        for address, service in services.items():
            meta = service["metadata"]
            short = f"{meta['name']}.{meta['namespace']}"
            full = f"{short}.svc.cluster.local"
            # Envoy asks with the dot at the end, and looks for it so.
            alone = f" {meta['name']}" if meta["namespace"] == self._short_in else ""
            lines.append(f"{address} {full} {full}. {short}.svc {short}{alone}")
        text = "\n".join(lines) + "\n"
        if text != self._written:
            self._hosts.write_text(text)
            self._written = text


def _endpoints(
    service: Mapping[str, Any], port: Mapping[str, Any], slices: list[Object]
) -> Iterator[_Address]:
    for found in slices:
        meta = found["metadata"]
        owner = meta.get("labels", {}).get("kubernetes.io/service-name")
        if (owner, meta["namespace"]) != (service["name"], service["namespace"]):
            continue
        ports = cast("list[dict[str, Any]]", found.get("ports") or [])
        numbers = [each["port"] for each in ports if each.get("name", "") == port.get("name", "")]
        endpoints = cast("list[dict[str, Any]]", found.get("endpoints") or [])
        for endpoint in endpoints:
            if numbers and endpoint.get("conditions", {}).get("ready", True):
                yield endpoint["addresses"][0], numbers[0]


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
