"""Clients of a gateway that never pause, and remember each request: what it got, from whom, or why it failed."""

import asyncio
import contextlib
import ipaddress
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from rehearsal.cluster.control_plane import SERVICE_RANGE
from tests.gateway.network import POD_NETWORK

LOOK_SECONDS: Final = 0.3
"""How old a client's knowledge of the gateway's addresses may be."""
REQUEST_SECONDS: Final = 120.0
_NO_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None)
_OWN: Final = tuple(ipaddress.ip_network(each) for each in (POD_NETWORK, SERVICE_RANGE))
_DONE: Final = "data: [DONE]"
_EVENT: Final = "data: "


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, over and over. `tokens` of a stream come one event each."""

    model: str
    stream: bool = True
    tokens: int = 16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request that ended. Times are of the monotonic clock, in seconds.

    reason: why it failed; empty for one that got all it asked for. version: of the model that answered.
    """

    began: float
    ended: float
    status: int | None = None
    version: str = ""
    pod: str = ""
    reason: str = ""
    retry_after: str | None = None


class Load:
    """Runs in a thread of its own until it is stopped, until `seconds` are over, or `requests` are made."""

    def __init__(
        self,
        targets: Callable[[], Sequence[str]],
        request: Request,
        *,
        clients: int,
        seconds: float,
        requests: int,
    ) -> None:
        self._targets = targets
        self._request = request
        self._clients = clients
        self._seconds = seconds
        self._left = requests
        self._known: Sequence[str] = ()
        self._turn = 0
        self._stopping = threading.Event()
        self._problem: BaseException | None = None
        self.outcomes: list[Outcome] = []
        self._thread = threading.Thread(target=self._main, name="load", daemon=True)
        self._thread.start()

    @property
    def failures(self) -> list[Outcome]:
        """Every request that did not get all it asked for."""
        return [outcome for outcome in list(self.outcomes) if outcome.reason]

    def versions(self, since: float = 0.0) -> Counter[str]:
        """Return how many requests that began after a time were answered by each version."""
        return Counter(outcome.version for outcome in list(self.outcomes) if outcome.began >= since)

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until this many more requests have ended."""
        wanted = len(self.outcomes) + count
        deadline = time.monotonic() + seconds
        while len(self.outcomes) < wanted:
            assert time.monotonic() < deadline, (
                f"{len(self.outcomes)} of {wanted} requests after {seconds:g} s"
            )
            assert self._thread.is_alive(), f"the load ended after {len(self.outcomes)} requests"
            time.sleep(0.05)

    def stop(self) -> None:
        """Let every request end that is under way."""
        self._stopping.set()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: `stop` tells
            self._problem = error

    async def _run(self) -> None:
        deadline = time.monotonic() + self._seconds
        # As many connections as clients, and none that is kept for nobody.
        async with (
            httpx.AsyncClient(trust_env=False, timeout=REQUEST_SECONDS, limits=_NO_LIMITS) as http,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._look(deadline))
            for _ in range(self._clients):
                group.create_task(self._client(http, deadline))

    def _over(self, deadline: float) -> bool:
        return self._stopping.is_set() or time.monotonic() >= deadline or self._left <= 0

    async def _look(self, deadline: float) -> None:
        while not self._over(deadline):
            self._known = await asyncio.to_thread(self._targets)
            for url in self._known:
                _refuse_elsewhere(url)
            await asyncio.sleep(LOOK_SECONDS)

    async def _client(self, http: httpx.AsyncClient, deadline: float) -> None:
        while not self._over(deadline):
            if not self._known:
                await asyncio.sleep(LOOK_SECONDS / 10)
                continue
            self._turn += 1
            self._left -= 1
            self.outcomes.append(await ask(http, self._known[self._turn % len(self._known)], self._request))


async def ask(http: httpx.AsyncClient, url: str, request: Request) -> Outcome:
    """Make one request and read all of its answer."""
    _refuse_elsewhere(url)
    began = time.monotonic()
    body = {
        "model": request.model,
        "messages": [{"role": "user", "content": "count"}],
        "max_tokens": request.tokens,
        "stream": request.stream,
    }
    status: int | None = None
    retry_after: str | None = None
    version = pod = ""
    try:
        async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            status, retry_after = answer.status_code, answer.headers.get("retry-after")
            if status != 200:
                reason = f"status {status}: {(await answer.aread()).decode(errors='replace')[:200]}"
            elif request.stream:
                reason, version, pod = await _read_stream(answer, request.tokens)
            else:
                version, pod = _who(json.loads(await answer.aread()))
                reason = ""
    except httpx.HTTPError as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome(
        began=began,
        ended=time.monotonic(),
        status=status,
        version=version,
        pod=pod,
        reason=reason,
        retry_after=retry_after,
    )


async def _read_stream(answer: httpx.Response, tokens: int) -> tuple[str, str, str]:
    seen, version, pod, done = 0, "", "", False
    async for line in answer.aiter_lines():
        if line == _DONE:
            done = True
        elif line.startswith(_EVENT):
            seen += 1
            version, pod = _who(json.loads(line.removeprefix(_EVENT)))
    if not done or seen != tokens:
        return f"the stream ended after {seen} of {tokens} tokens", version, pod
    return "", version, pod


def _who(content: dict[str, Any]) -> tuple[str, str]:
    version, _, pod = content["system_fingerprint"].partition("/")
    return version, pod


def _refuse_elsewhere(url: str) -> None:
    """Load goes to the cluster's own addresses, and to loopback."""
    address = ipaddress.ip_address(urlsplit(url).hostname or "")
    if not address.is_loopback and not any(address in network for network in _OWN):
        message = f"{url}: a load goes to addresses of this cluster only"
        raise ValueError(message)


@contextlib.contextmanager
def load(
    targets: Callable[[], Sequence[str]],
    request: Request,
    *,
    clients: int = 4,
    seconds: float = 180.0,
    requests: int = 20_000,
) -> Generator[Load]:
    """Keep clients busy: each makes its next request when its last one has ended. `targets` are asked again and again."""
    made = Load(targets, request, clients=clients, seconds=seconds, requests=requests)
    try:
        yield made
    finally:
        made.stop()
