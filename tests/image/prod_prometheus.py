"""A real Prometheus on loopback. It scrapes a real engine every second, and a server that shows what the rest of prod would.

The engine is scraped once for each version of a model, each time with the labels that a scrape of that pod would give. Rules are
prod's own, evaluated every second. Two scrapes are enough for a `rate` over five minutes.
"""

import contextlib
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from components.telemetry.model_rules import rules_of
from ops.rollout.queries import REQUESTS
from tests import live_prometheus, loopback
from tests.live_prometheus import Prometheus
from tests.prod_series import PROD, series, version_labels, versions

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
        live_prometheus.prometheus(_config(engine, exporters, renamed, folder), folder) as made,
    ):
        yield made


def _config(engine: str, exporters: str, renamed: str | None, folder: Path) -> dict[str, Any]:
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
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {**job, **({"metric_relabel_configs": relabelled} if renamed else {})} for job in jobs
        ],
    }
