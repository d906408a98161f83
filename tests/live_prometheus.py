"""A real Prometheus on loopback, for as long as a test needs it."""

import contextlib
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from rehearsal.cluster.api import wait_until
from rehearsal.cluster.launcher import free_ports
from rehearsal.cluster.processes import ProcessTable, log_tail
from rehearsal.toolchain import find_tools

SECONDS: Final = 60.0
Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """One that runs."""

    url: str
    http: httpx.Client

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series. Fails the test where Prometheus does not take the expression."""
        answer = self.http.post("/api/v1/query", data={"query": expression})
        assert answer.is_success, f"{expression}: {answer.text}"
        data = answer.json()["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def value(self, expression: str) -> float | None:
        """Return the value of an expression with one series; None where it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def course(self, expression: str, seconds: float, step: float) -> list[tuple[dict[str, str], Points]]:
        """Return labels, times (seconds before now) and values of each series over the last seconds."""
        now = time.time()
        span = {"start": now - seconds, "end": now, "step": step}
        answer = self.http.post("/api/v1/query_range", data={"query": expression, **span})
        assert answer.is_success, f"{expression}: {answer.text}"
        return [
            (each["metric"], [(float(at) - now, float(value)) for at, value in each["values"]])
            for each in answer.json()["data"]["result"]
        ]

    def silent(self, expressions: Mapping[str, str]) -> dict[str, str]:
        """Return the expressions, by place, that have no answer, or none that is a number."""
        return {
            place: text
            for place, text in expressions.items()
            if not any(value == value for _, value in self.query(text))  # noqa: PLR0124 - NaN is not itself
        }

    def rules(self) -> list[dict[str, Any]]:
        """Return what it says of each rule."""
        groups = self.http.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def alerts(self) -> set[str]:
        """Return the alerts that fire, or will when it has lasted."""
        return {labels["alertname"] for labels, _ in self.query("ALERTS")}


@contextlib.contextmanager
def prometheus(config: Mapping[str, Any], folder: Path) -> Generator[Prometheus]:
    """Run one with a configuration until the block ends. Its files lie in `folder`, which is there."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(config)))
    log, table = folder / "prometheus.log", ProcessTable(folder / "processes.json")
    running = table.start(
        "prometheus",
        [
            str(find_tools(("prometheus",)).bin("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
        ],
        log=log,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    with httpx.Client(base_url=url, trust_env=False, timeout=SECONDS) as http:

        def ready() -> bool:
            try:
                return http.get("/-/ready").is_success
            except httpx.TransportError:
                return False

        try:
            assert wait_until(ready, seconds=SECONDS, alive=[lambda: running.alive]), log_tail(log)
            yield Prometheus(url=url, http=http)
        finally:
            table.stop_all()
