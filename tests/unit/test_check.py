"""What `vp check` prints for a good stack, and its exit status; for broken ones see test_settings_refusals."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.check import check

ROOT = Path(__file__).resolve().parents[2]
STACKS = ("local", "dev", "staging", "prod")


def _run(stack: str, root: Path = ROOT, *, as_json: bool = False) -> tuple[int, str]:
    file = io.StringIO()
    status = check(stack, root, "json" if as_json else "text", Console(file=file, width=150))
    return status, file.getvalue()


def _summary(stack: str) -> dict[str, Any]:
    status, printed = _run(stack, as_json=True)
    assert status == 0
    return json.loads(printed)


def _row(printed: str, name: str, nth: int = 0) -> list[str]:
    """Return the cells of the table row that begins with a name."""
    lines = [line for line in printed.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in lines[nth].strip("│").split("│")]


@pytest.mark.parametrize("stack", STACKS)
def test_a_good_stack_exits_0_with_three_tables(stack: str) -> None:
    status, printed = _run(stack)
    assert status == 0
    assert "no problems" in printed
    for title in ("Pools", "Models", "Memory of one GPU, MiB"):
        assert title in printed


def test_the_tables_of_prod_hold_the_sums() -> None:
    _, printed = _run("prod")
    zones = "us-east-1a, us-east-1b"
    assert _row(printed, "a10") == ["a10", "g5.2xlarge", "on-demand", zones, "3-24", "3-24", "3-24", "A10"]
    assert _row(printed, "a100")[-3:] == ["1", "0-8", "A100"]
    assert _row(printed, "qwen-7b-vllm") == [
        "qwen-7b-vllm", "core", "a10", "canary 5 25 50 100", "3-20 +4", "1", "3-24", "24",
    ]  # fmt: skip
    assert _row(printed, "qwen3-235b-a22b") == [
        "qwen3-235b-a22b", "core", "a100", "rolling", "2", "4", "8", "8",
    ]  # fmt: skip
    assert _row(printed, "qwen-7b-vllm", nth=1)[2:] == [
        "16 x 8,192", "5,313", "7,169", "2,656", "15,138", "20,688", "5,550",
    ]  # fmt: skip


def test_a_model_that_is_off_is_shown_as_off_and_takes_no_node() -> None:
    _, printed = _run("dev")
    assert "qwen3-235b-a22b (off)" in printed
    pools = {pool["name"]: pool for pool in _summary("dev")["pools"]}
    assert pools["a100"]["nodes_needed"] == [0, 0]


def test_a_model_that_may_have_no_replica_is_told_with_what_that_means(tmp_path: Path) -> None:
    zero = "{kind: keda, min: 0, max: 4, signals: [gateway-demand]}"
    names = ("keda", "prometheus", "gateway_api", "envoy_gateway")
    addons = f"  vllm-platform:addons: {dict.fromkeys(names, 'existing')}\n"
    prometheus = '  vllm-platform:observability: {prometheus_url: "http://prometheus:9090"}\n'
    text = (ROOT / "Pulumi.local.yaml").read_text(encoding="utf-8")
    text = text.replace("{kind: hpa, min: 3, max: 4, gpu_utilization: 70}", zero) + addons + prometheus
    (tmp_path / "Pulumi.local.yaml").write_text(text, encoding="utf-8")
    status, printed = _run("local", tmp_path)
    assert status == 0
    assert "may have no replica: qwen-7b-vllm: whoever asks first is answered with 503" in printed
    assert "may have no replica" not in _run("local")[1]


def test_a_stopped_model_is_shown_as_stopped_and_keeps_its_place(tmp_path: Path) -> None:
    text = (ROOT / "Pulumi.local.yaml").read_text(encoding="utf-8")
    name = "    - name: qwen3-embedding\n"
    (tmp_path / "Pulumi.local.yaml").write_text(text.replace(name, f"{name}      stopped: true\n"))
    status, printed = _run("local", tmp_path)
    assert status == 0
    assert _row(printed, "qwen3-embedding (stopped)")[-2:] == _row(_run("local")[1], "qwen3-embedding")[-2:]


def test_the_example_digest_is_told() -> None:
    assert "example digest, refused by `pulumi up`: qwen-7b-vllm" in _run("prod")[1]
    assert "example digest" not in _run("local")[1]


def test_where_nobody_is_told_of_alerts_that_is_told() -> None:
    said = "nobody is told of alerts: write observability.alerting"
    assert said in _run("dev")[1]
    # One has receivers, the other a Prometheus of somebody else's.
    assert said not in _run("prod")[1] + _run("local")[1]


def test_json_holds_what_the_tables_hold() -> None:
    summary = _summary("prod")
    assert summary["ok"] is True
    assert summary["stack"] == summary["environment"] == "prod"
    moe = next(model for model in summary["models"] if model["name"] == "qwen3-235b-a22b")
    assert (moe["gpus_per_replica"], moe["gpus_needed"], moe["gpus_available"]) == (4, [8, 8], 8)
    assert moe["memory"]["headroom_mib"] == moe["memory"]["budget_mib"] - moe["memory"]["total_mib"]


def test_json_of_a_broken_stack_lists_its_problems() -> None:
    status, printed = _run("gone", as_json=True)
    assert status == 1
    assert json.loads(printed)["problems"] == [
        {
            "path": "Pulumi.gone.yaml",
            "value": None,
            "reason": "there is no such stack file",
            "fix": "use one of the stacks that exist: dev, local, prod, staging",
        }
    ]


def test_a_model_that_is_off_may_have_no_pool(tmp_path: Path) -> None:
    text = (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8").replace("gpu_type: A100", "gpu_type: H100")
    (tmp_path / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    status, printed = _run("dev", tmp_path)
    assert status == 0
    assert _row(printed, "qwen3-235b-a22b (off)")[2] == "-"


def test_prints_to_the_terminal_where_no_console_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("prod", ROOT) == 0
    assert "stack prod (prod)" in capsys.readouterr().out


def test_brackets_and_markup_in_a_stack_file_are_printed_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_text("config: '[red]x[/blue]'", encoding="utf-8")
    assert "'[red]x[/blue]'" in _run("x", tmp_path)[1]
