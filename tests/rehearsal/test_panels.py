"""Each panel of prod, each signal of a scaler and each question of the judge has an answer, by Prometheus' own engine.

Over series with the names and labels that the exporters have: `test_metric_names.py` compares the names. Recorded rules are
prod's own. An expression that asks for a name or a label that no series has is red here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.telemetry.model_rules import rules_of
from tests.prod_series import PROD, asked, series
from tests.rehearsal.rule_series import promtool, rule_file

pytestmark = pytest.mark.rehearsal

AT: Final = "30m"


def answers(expressions: Mapping[str, str], given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return those expressions, by place, that have no answer, and what promtool says."""
    tests: list[dict[str, Any]] = [
        {
            "expr": f"count({expression}) > bool 0",
            "eval_time": AT,
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for expression in expressions.values()
    ]
    document: dict[str, Any] = {
        "rule_files": [str(rule_file(rules_of(PROD), folder))],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in given.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", str(path))
    if done.returncode == 0:
        return {}
    said = done.stdout + done.stderr
    # It quotes as Go does, which for these texts is JSON's way.
    silent = {
        place: text
        for place, text in expressions.items()
        if f"expr: {json.dumps(f'count({text})')[:-1]}" in said
    }
    return silent or {"promtool": said}


def test_each_panel_signal_and_question_has_an_answer(tmp_path: Path) -> None:
    assert len(asked()) > 80
    assert answers(asked(), series(), tmp_path) == {}


@pytest.mark.parametrize(
    ("renamed", "panel"),
    [
        ("DCGM_FI_DEV_GPU_TEMP", "gpus: Temperature"),
        ("vllm:request_queue_time_seconds_bucket", "model: Time in the queue"),
        ("kube_node_status_allocatable", "capacity: GPUs"),
        ("kube_deployment_spec_replicas", "capacity: Cost an hour"),
        ("keda_scaler_metrics_value", "capacity: What KEDA sees"),
        ("envoy_http_jwt_authn_denied", "gateway: Tokens"),
    ],
)
def test_of_a_metric_that_was_renamed_the_panel_is_named(renamed: str, panel: str, tmp_path: Path) -> None:
    given = {name: values for name, values in series().items() if not name.startswith(f"{renamed}{{")}
    assert given.keys() < series().keys()
    silent = answers(asked(), given, tmp_path)
    assert any(place.startswith(panel) for place in silent), silent
