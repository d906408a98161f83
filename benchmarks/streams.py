"""A client of many streams at once, with so little work for each event that it is not what is measured."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles
from typing import Any, Final

from rehearsal.errors import UserError

CHAT: Final = "/v1/chat/completions"
_EVENT: Final = b"data: {"
_OK: Final = b"HTTP/1.1 200 "
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_CHUNKS_END: Final = b"\r\n0\r\n\r\n"
_MILLISECONDS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Load:
    """What clients saw. seconds: from the first question to the last answer. Lists are of milliseconds."""

    seconds: float
    answers: int
    events: int
    firsts: Sequence[float]
    gaps: Sequence[float]
    totals: Sequence[float]

    @property
    def first(self) -> float:
        """Time to the first event, the middle one."""
        return median(self.firsts)

    @property
    def gap(self) -> float:
        """Time between two events, the middle one."""
        return median(self.gaps)

    @property
    def worst_gap(self) -> float:
        """The time between two events that one of a hundred exceeds."""
        return quantiles(self.gaps, n=100)[-1]

    @property
    def total(self) -> float:
        """Time of a whole answer, the middle one."""
        return median(self.totals)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class _Connection(asyncio.Protocol):
    """One connection that is kept: asks, and notes when the events of the answer come."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._head = b""
        self._left: int | None = None
        self._tail = b""
        self.times: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of create_connection
        self._transport = transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - of create_connection
        self._done = asyncio.get_running_loop().create_future()
        self._head, self._left, self._tail, self.times = b"", None, b"", []
        self._transport.write(request)
        await self._done

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if _HEAD_END not in self._head:
            self._head += data
            head, end, data = self._head.partition(_HEAD_END)
            if not end:
                return
            if not head.startswith(_OK):
                self._fail(head.decode(errors="replace"))
                return
            length = _LENGTH.search(head)
            self._left = None if length is None else int(length[1])
        self.times += [now] * data.count(_EVENT)
        if self._left is None:
            self._tail = (self._tail + data)[-len(_CHUNKS_END) :]
            ended = self._tail == _CHUNKS_END
        else:
            self._left -= len(data)
            ended = self._left <= 0
        if ended and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection ended: {exc}")

    def _fail(self, what: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(UserError(f"a server that is measured gave no answer: {what}"))


def request(body: Mapping[str, Any], path: str = CHAT, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a question as it goes over the wire."""
    content = json.dumps(body).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        "host: benchmark",
        "user-agent: benchmark",
        "accept: */*",
        "content-type: application/json",
        "x-user-id: benchmark",
        f"content-length: {len(content)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    )
    return "\r\n".join(lines).encode() + _HEAD_END + content


async def load(
    port: int,
    body: Mapping[str, Any],
    *,
    streams: int,
    each: int,
    spread: float = 0,
    pause: float = 0,
    host: str = "127.0.0.1",
    path: str = CHAT,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Ask from so many connections, each so many times, one after another. Raises UserError where there is no answer.

    :param spread: seconds over which the first questions are spread; 0 is all at once.
    :param pause: seconds between an answer and the next question.
    """
    loop = asyncio.get_running_loop()
    asked = request(body, path, headers)
    made = [await loop.create_connection(_Connection, host, port) for _ in range(streams)]
    firsts: list[float] = []
    gaps: list[float] = []
    totals: list[float] = []
    events = 0

    async def client(number: int, connection: _Connection) -> None:
        nonlocal events
        await asyncio.sleep(spread * number / streams)
        for turn in range(each):
            await asyncio.sleep(pause if turn else 0)
            began = time.perf_counter()
            await connection.ask(asked)
            ended = time.perf_counter()
            totals.append((ended - began) * _MILLISECONDS)
            if connection.times:
                events += len(connection.times)
                firsts.append((connection.times[0] - began) * _MILLISECONDS)
                gaps.extend((after - before) * _MILLISECONDS for before, after in pairwise(connection.times))

    began = time.perf_counter()
    try:
        await asyncio.gather(*(client(number, connection) for number, (_, connection) in enumerate(made)))
    finally:
        for _, connection in made:
            connection.close()
    return Load(
        seconds=time.perf_counter() - began,
        answers=streams * each,
        events=events,
        firsts=firsts,
        gaps=gaps,
        totals=totals,
    )
