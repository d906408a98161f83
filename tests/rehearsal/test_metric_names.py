"""Every metric that an expression is about is one that somebody shows: a renamed one makes a test red, not an alert silent."""

import os
import re
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import Counter
from vllm_platform_middleware import metrics as middleware

from settings import load_stack_file
from settings.objectives import FIRST_TOKEN_BOUNDS, INTER_TOKEN_BOUNDS, REQUEST_BOUNDS
from tests.promql import asked_elsewhere, known, metrics_in, rule_expressions, shown
from tests.rehearsal.conftest import REPOSITORY, tools
from tests.telemetry.proxy import ALIVE, GONE, GREEDY, LOST, running_proxy

pytestmark = pytest.mark.rehearsal

PROD: Final = load_stack_file(REPOSITORY / "Pulumi.prod.yaml")


def shared(name: str) -> str:
    """What a real exporter showed; skips the test where it is not at hand."""
    path = REPOSITORY.parent / "shared" / "data" / name
    if not path.is_file() and os.environ.get("VP_REQUIRE_SHARED") != "1":
        pytest.skip(f"what the exporter shows is not here: {path}")
    return path.read_text(encoding="utf-8")


def test_expressions_are_about_metrics_of_the_list_and_the_list_has_no_others() -> None:
    rules = [*rule_expressions(PROD)]
    recorded = {name for _, name in rules} - {""}
    used = {name for expression, _ in rules for name in metrics_in(expression)}
    used |= {name for expression in asked_elsewhere() for name in metrics_in(expression)}
    used |= {name for _, expression in shown(PROD) for name in metrics_in(expression)}
    assert used - recorded == set().union(*known().values())


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le) (rate(a:b_total{x="y (z)"}[5m])) / on (q) group_left () c', {"a:b_total", "c"}),
        (
            "histogram_quantile(0.9, sum(rate(a_bucket[1m] offset 5m))) or 0 * max(up == bool 1)",
            {"a_bucket", "up"},
        ),
    ],
)
def test_the_metrics_of_an_expression(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names


def test_vllm_shows_them() -> None:
    lines = shared("vllm-0.32.0-metrics.txt").splitlines()
    there = {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")}
    assert known()["vllm"] <= there


@pytest.mark.parametrize(
    ("histogram", "bounds"),
    [
        ("vllm:time_to_first_token_seconds", FIRST_TOKEN_BOUNDS),
        ("vllm:inter_token_latency_seconds", INTER_TOKEN_BOUNDS),
        ("vllm:e2e_request_latency_seconds", REQUEST_BOUNDS),
    ],
)
def test_the_bounds_that_an_objective_may_have_are_vllm_s(histogram: str, bounds: tuple[float, ...]) -> None:
    text = shared("vllm-0.32.0-metrics.txt")
    found = re.findall(rf'^{histogram}_bucket\{{.*le="([0-9.]+)"', text, flags=re.MULTILINE)
    # As texts, too: the rules select a bucket by what it is called.
    assert found == [str(bound) for bound in bounds]


def test_the_dcgm_exporter_shows_them() -> None:
    lines = shared("dcgm-default-counters.csv").splitlines()
    there = {line.partition(",")[0].strip() for line in lines if not line.startswith("#")}
    assert known()["dcgm"] <= there


def test_the_middleware_shows_them() -> None:
    collectors = [each for each in vars(middleware).values() if isinstance(each, Counter)]
    there = {f"{metric.name}_total" for each in collectors for metric in each.describe()}
    assert known()["middleware"] <= there


def test_keda_s_operator_has_their_words() -> None:
    program = tools().bin("keda-operator").read_bytes()
    for name in known()["keda"]:
        assert name.removeprefix("keda_scaler_").encode() in program


def test_envoy_shows_them(tmp_path: Path) -> None:
    with running_proxy(tmp_path) as proxy:
        asked = [(ALIVE, "team-a"), (GONE, "team-a"), (ALIVE, None), (ALIVE, GREEDY), (ALIVE, LOST)]
        statuses = [proxy.ask(upstream, consumer) for upstream, consumer in asked]
        lines = proxy.series()
    assert statuses == [200, 503, 401, 429, 500]
    there = {line.partition("{")[0] for line in lines}
    assert known()["envoy"] <= there
    # Its answer for an upstream that is not there counts as one of the upstream's class.
    failed = [line for line in lines if line.startswith("envoy_cluster_upstream_rq_xx{")]
    assert any(
        'envoy_response_code_class="5"' in line and f'envoy_cluster_name="{GONE}"' in line for line in failed
    )
