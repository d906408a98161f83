"""A real Prometheus on the node's loopback. It finds its targets at the API server, as the operator's would."""

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import httpx
import yaml

from rehearsal.cluster.api import Object, wait_until
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.processes import ProcessTable, log_tail
from tests.gateway.scrape import scrape_configs
from tests.rehearsal.conftest import tools

URL: Final = "http://127.0.0.1:9090"
INTERVAL: Final = "1s"
SECONDS: Final = 60.0

Sample = tuple[dict[str, str], float]


class Prometheus:
    """One that runs, at `URL`."""

    def __init__(self) -> None:
        self._http = httpx.Client(base_url=URL, trust_env=False, timeout=10.0)

    def query(self, expression: str) -> list[Sample]:
        """Return labels and value of each series that the expression has now."""
        answer = self._http.get("/api/v1/query", params={"query": expression})
        answer.raise_for_status()
        found = cast("list[dict[str, Any]]", answer.json()["data"]["result"])
        return [(each["metric"], float(each["value"][1])) for each in found]

    def value(self, expression: str) -> float | None:
        """Return the value of an expression with one series; None where it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """End the connections to it."""
        self._http.close()


@contextlib.contextmanager
def prometheus(layout: ClusterLayout, monitors: Sequence[Object], folder: Path) -> Generator[Prometheus]:
    """Run one that scrapes what these PodMonitors ask for, every second."""
    folder.mkdir()
    pki = layout.pki
    discovery = {
        "api_server": (layout.root / "server").read_text().strip(),
        "tls_config": {
            "ca_file": str(pki / "ca.crt"),
            "cert_file": str(pki / "admin.crt"),
            "key_file": str(pki / "admin.key"),
        },
    }
    jobs = [job for monitor in monitors for job in scrape_configs(monitor, discovery, INTERVAL)]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": jobs}))
    log = folder / "prometheus.log"
    command = [
        str(tools().bin("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    table = ProcessTable(folder / "processes.json")
    running = table.start(
        "prometheus",
        [*command, f"--web.listen-address={URL.removeprefix('http://')}", "--storage.tsdb.retention.time=1h"],
        log=log,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    made = Prometheus()
    try:
        assert wait_until(made.ready, seconds=SECONDS, alive=[lambda: running.alive]), log_tail(log)
        yield made
    finally:
        made.close()
        table.stop_all()
