"""What the gateway adds to an answer, with tokens, limits and its log: an engine asked through it and past it, in one run.

The data plane is that of the tests (`tests/gateway/test_latency.py`), in a network of its own: it needs root, as they do.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.part import Bench
from benchmarks.report import Measurement
from rehearsal.errors import UserError

STREAMS: Final = (64, 512)
_TURNS: Final = 2
_MODULE: Final = "tests/gateway/test_latency.py"
_FIGURES: Final = {
    "first": "first event",
    "first_p99": "first event, 99 of 100",
    "gap_p99": "event to event, 99 of 100",
}
_WAYS: Final = {"without": "past the gateway", "with": "through the gateway"}


def latency(bench: Bench) -> list[Measurement]:
    """Streams at a set pace. Raises UserError where the data plane can not be made here."""
    with tempfile.TemporaryDirectory(prefix="vllm-platform-bench-") as folder:
        out = Path(folder) / "found.json"
        variables = {"VP_LATENCY_OUT": str(out), "VP_LATENCY_TURNS": str(bench.runs * _TURNS)}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", _MODULE],
            cwd=bench.repository,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if not out.is_file():
            raise UserError(f"the gateway was not measured:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found: dict[str, list[float]] = json.loads(out.read_text(encoding="utf-8"))
    return [
        Measurement(
            name=f"gateway_{figure}_{streams}_{way}",
            what=f"{words} at {streams} streams, {said}",
            unit="ms",
            values=tuple(found[f"{figure}_{streams}_{way}"]),
        )
        for streams in STREAMS
        for figure, words in _FIGURES.items()
        for way, said in _WAYS.items()
    ]
