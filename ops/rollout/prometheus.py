"""A small client of Prometheus' HTTP API: one question at one moment. It never waits longer than it is told to."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

QUESTION_SECONDS: Final = 15.0
"""For one answer, from the first byte that is sent to the last one that comes."""
ANSWER_BYTES: Final = 16 * 2**20
QUERY_PATH: Final = "/api/v1/query"

Chunks = Callable[[str, Mapping[str, str]], Iterator[bytes]]
"""Gets a path with parameters and yields the answer's body. Raises PrometheusError, and waits for each piece some seconds at most."""


class PrometheusError(Exception):
    """There is no answer to a question. The text says why."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One series of an answer. value: never NaN; infinite where a division by nothing was asked for."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """Asks one server."""

    def __init__(self, get: Chunks) -> None:
        self._get = get

    def ask(self, query: str) -> list[Sample]:
        """Return the series of an instant query, as it is now. Raises PrometheusError."""
        answer = self._answer(query)
        data = answer.get("data")
        if answer.get("status") != "success" or not isinstance(data, dict):
            raise PrometheusError(f"Prometheus refused the question: {answer.get('error', answer)}")
        found = cast("dict[str, Any]", data)
        if found.get("resultType") != "vector":
            raise PrometheusError(f"an answer of type {found.get('resultType')}, not a vector")
        try:
            samples = [
                Sample(labels=dict(series["metric"]), value=float(series["value"][1]))
                for series in found["result"]
            ]
        except (KeyError, TypeError, ValueError, IndexError):
            raise PrometheusError("the answer is not of the form that Prometheus' API has") from None
        return [sample for sample in samples if not math.isnan(sample.value)]

    def _answer(self, query: str) -> dict[str, Any]:
        deadline = time.monotonic() + QUESTION_SECONDS
        body = bytearray()
        for chunk in self._get(QUERY_PATH, {"query": query, "timeout": f"{QUESTION_SECONDS:.0f}s"}):
            body += chunk
            if time.monotonic() > deadline:
                raise PrometheusError(f"no complete answer within {QUESTION_SECONDS:.0f} s")
            if len(body) > ANSWER_BYTES:
                raise PrometheusError(f"an answer of more than {ANSWER_BYTES // 2**20} MiB")
        try:
            answer = json.loads(bytes(body))
        except ValueError:
            raise PrometheusError(f"no JSON: {bytes(body[:80]).decode(errors='replace')!r}") from None
        if not isinstance(answer, dict):
            raise PrometheusError("the answer is no JSON object")
        return cast("dict[str, Any]", answer)


def at_address(url: str) -> Chunks:
    """Ask the server at an address that can be reached from here. No proxy of the environment is used."""

    def get(path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        try:
            with (
                httpx.Client(timeout=QUESTION_SECONDS, trust_env=False) as client,
                client.stream("GET", url.rstrip("/") + path, params=dict(parameters)) as response,
            ):
                yield from response.iter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PrometheusError(f"{url} does not answer: {error or type(error).__name__}") from None

    return get
