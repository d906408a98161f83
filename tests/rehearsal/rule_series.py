"""Series that a scrape would bring, minute by minute, and what Prometheus makes of rules over them (`promtool test rules`)."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.rehearsal.conftest import tools

Phase = tuple[float, int]
"""A number, and for how many minutes."""
Expected = tuple[str, int, dict[str, float]]
"""An expression, the minute, and the values by their labels."""
TIMEOUT: Final = 120


def levels(*phases: Phase) -> str:
    """A gauge."""
    return " ".join(f"{value:g}x{minutes - 1}" for value, minutes in phases)


def counts(*phases: Phase) -> str:
    """A counter that rises by so much each minute."""
    total, values = 0.0, list[str]()
    for rise, minutes in phases:
        for _ in range(minutes):
            total += rise
            values.append(f"{total:g}")
    return " ".join(values)


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real one."""
    return subprocess.run(
        [str(tools().bin("promtool")), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def rule_file(rules: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> Path:
    """Write the groups of several PrometheusRules as one file of rules."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [group for groups in rules.values() for group in groups]}))
    return path


def expect(rules: Path, given: Mapping[str, str], expected: Sequence[Expected]) -> None:
    """Fail unless rules over series lead to these values."""
    tests = [
        {
            "expr": expression,
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for expression, minute, samples in expected
    ]
    document: dict[str, Any] = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    path = rules.with_name("test.yaml")
    path.write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
