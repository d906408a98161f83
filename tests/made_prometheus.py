"""A server on loopback that answers as Prometheus does, from numbers that a test makes up."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests import loopback

BOUNDS: Final = ("0.1", "0.5", "+Inf")


@dataclass
class MadePrometheus:
    """The numbers: of the candidate and of the stable version. slow: the candidate's requests take half a second, not a tenth."""

    url: str
    requests: float = 200.0
    failed: float = 0.0
    slow: bool = False
    asked: list[str] = field(default_factory=list[str])

    def answer(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return series with labels and values."""
        self.asked.append(query)
        canary = "-canary-predictor" in query
        if "_bucket" in query:
            fast = 0.0 if canary and self.slow else self.requests
            return [
                ({"le": bound}, count)
                for bound, count in zip(BOUNDS, (fast, self.requests, self.requests), strict=True)
            ]
        if "rq_success" in query or (
            '"5.."' not in query and "rq_error" not in query and '"4.."' not in query
        ):
            return [({}, self.requests)]
        return [({}, self.failed if canary and '"5.."' in query else 0.0)]


@contextmanager
def made_prometheus() -> Generator[MadePrometheus]:
    """Run one."""

    class Handler(loopback.Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name is the library's
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            result = [{"metric": labels, "value": [0, str(value)]} for labels, value in made.answer(query)]
            body = json.dumps(
                {"status": "success", "data": {"resultType": "vector", "result": result}}
            ).encode()
            self.write(200, body)

    with loopback.serving(Handler) as url:
        made = MadePrometheus(url=url)
        yield made
