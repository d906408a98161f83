"""A real Prometheus on loopback. It scrapes a real engine every second, and a server that shows what the rest of prod would.

The engine is scraped once for each version of a model, each time with the labels that a scrape of that pod would give. Rules are
prod's own, evaluated every second. Two scrapes are enough for a `rate` over five minutes.
"""

import contextlib
import re
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from components.telemetry.model_rules import rules_of
from ops.rollout.queries import REQUESTS
from rehearsal.cluster.api import wait_until
from rehearsal.cluster.launcher import free_ports
from rehearsal.cluster.processes import ProcessTable, log_tail
from rehearsal.toolchain import find_tools
from tests import loopback
from tests.prod_series import PROD, series, version_labels, versions

SECONDS: Final = 60.0
Points = list[tuple[float, float]]
_VALUES: Final = re.compile(r"([\d.]+)(?:\+([\d.]+))?x\d+")
_FAILED: Final = 'status_code="500"'
_OF_ENGINES: Final = ("vllm:", "vllm_platform_")


@dataclass
class Replay:
    """Series of everything but the engines, as an exporter shows them. `changed`: values other than the usual, by metric.

    failing: requests to engines fail too, which no engine that is well does.
    """

    changed: dict[str, float] = field(default_factory=dict[str, float])
    failing: bool = False
    started: float = field(default_factory=time.monotonic)

    def text(self) -> str:
        """Return what is shown now. A counter rises each second by what it rises by."""
        return "".join(f"{name} {value:g}\n" for name, value in self._now())

    def _now(self) -> Iterator[tuple[str, float]]:
        past = time.monotonic() - self.started
        for name, values in series().items():
            metric = name.partition("{")[0]
            failed = metric == REQUESTS and _FAILED in name
            if metric.startswith(_OF_ENGINES) and not (failed and self.failing):
                continue
            found = _VALUES.fullmatch(values)
            assert found, values
            usual = float(found[1]) + past * float(found[2] or 0)
            yield name, self.changed.get(metric, usual)


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """One that runs."""

    http: httpx.Client

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series. Fails the test where Prometheus does not take the expression."""
        answer = self.http.post("/api/v1/query", data={"query": expression})
        assert answer.is_success, f"{expression}: {answer.text}"
        data = answer.json()["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

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
def prometheus(
    engine: str, replay: Replay, folder: Path, *, renamed: str | None = None
) -> Generator[Prometheus]:
    """Run one beside an engine, whose metrics are at `engine`. `renamed`: a metric that has another name in all scrapes."""

    class Handler(loopback.Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name is the library's
            self.write(200, replay.text().encode(), "text/plain; version=0.0.4")

    folder.mkdir()
    with (
        loopback.serving(Handler) as exporters,
        _running(_config(engine, exporters, renamed, folder), folder) as made,
    ):
        yield made


def _config(engine: str, exporters: str, renamed: str | None, folder: Path) -> Path:
    rules = folder / "rules.yaml"
    rules.write_text(
        yaml.safe_dump({"groups": [group for groups in rules_of(PROD).values() for group in groups]})
    )
    relabelled = [
        {
            "source_labels": ["__name__"],
            "regex": renamed or "",
            "target_label": "__name__",
            "replacement": f"{renamed}_new",
        }
    ]
    address, path = engine.removeprefix("http://").split("/", 1)
    targets = [{"targets": [address], "labels": version_labels(*version)} for version in versions()]
    jobs = [
        {"job_name": "vllm", "metrics_path": f"/{path}", "static_configs": targets},
        {
            "job_name": "exporters",
            # Their own labels are those that Prometheus would have given.
            "honor_labels": True,
            "static_configs": [{"targets": [exporters.removeprefix("http://")]}],
        },
    ]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {**job, **({"metric_relabel_configs": relabelled} if renamed else {})} for job in jobs
        ],
    }
    path_of_config = folder / "prometheus.yml"
    path_of_config.write_text(yaml.safe_dump(config))
    return path_of_config


@contextlib.contextmanager
def _running(config: Path, folder: Path) -> Generator[Prometheus]:
    (port,) = free_ports(1)
    log, table = folder / "prometheus.log", ProcessTable(folder / "processes.json")
    running = table.start(
        "prometheus",
        [
            str(find_tools(("prometheus",)).bin("prometheus")),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=log,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SECONDS) as http:

        def ready() -> bool:
            try:
                return http.get("/-/ready").is_success
            except httpx.TransportError:
                return False

        try:
            assert wait_until(ready, seconds=SECONDS, alive=[lambda: running.alive]), log_tail(log)
            yield Prometheus(http=http)
        finally:
            table.stop_all()
