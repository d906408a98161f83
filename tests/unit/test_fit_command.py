"""What `vp fit` says: the arithmetic of the checks, the node, its price, and what would fit instead."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from ops.fit import Asked, fit, make_report
from ops.fit_text import memory_lines
from rehearsal.errors import UserError
from settings import SettingsError, load_stack_file
from settings.facts import Prices, instances, prices

ROOT = Path(__file__).resolve().parents[2]
PROD = ROOT / "Pulumi.prod.yaml"
BASE = ROOT / "tests" / "data" / "broken" / "base.yaml"
FRESH = prices().date + dt.timedelta(days=90)

pytestmark = pytest.mark.unit


def _run(
    model: str, place: str, path: Path = PROD, *, as_json: bool = False, **asked: int
) -> tuple[int, str]:
    file = io.StringIO()
    console = Console(file=file, width=80)
    status = fit(
        model, place, path, Asked(**asked), "json" if as_json else "text", today=FRESH, console=console
    )
    return status, file.getvalue()


def _values(model: str, place: str, path: Path = PROD, **asked: int) -> dict[str, Any]:
    return json.loads(_run(model, place, path, as_json=True, **asked)[1])


def _line(printed: str, begin: str) -> str:
    return " ".join(next(line for line in printed.splitlines() if line.strip().startswith(begin)).split())


def test_the_arithmetic_can_be_followed_line_by_line() -> None:
    status, printed = _run("qwen-7b-vllm", "a10")
    assert status == 0
    assert printed.startswith(
        "qwen-7b-vllm (Qwen/Qwen2.5-7B-Instruct-AWQ) on pool a10 (g5.2xlarge), 1 x NVIDIA A10G: fits"
    )
    assert _line(printed, "budget") == "budget 20,688 22,487 that CUDA sees x 0.92 (gpu_memory_utilization)"
    assert _line(printed, "weights") == "weights 5,313 5,570,747,392 bytes"
    assert _line(printed, "of one token").endswith(
        "2 (key and value) x 28 layers x 4 KV heads x 128 x 2 bytes = 57,344 bytes"
    )
    assert _line(printed, "KV cache").startswith(
        "KV cache 7,169 16 requests x 512 blocks of 16 tokens, and one"
    )
    assert (
        _line(printed, "overhead")
        == "overhead 2,656 CUDA context 512 + CUDA graphs 1,024 + a forward pass 1,120"
    )
    assert (_line(printed, "sum"), _line(printed, "left")) == ("sum 15,138", "left 5,550")


def test_every_sum_adds_up_for_every_model_of_every_stack(each_stack: str) -> None:
    settings = load_stack_file(ROOT / f"Pulumi.{each_stack}.yaml")
    for model in settings.models:
        values = _values(model.name, settings.pool_of(model).name, ROOT / f"Pulumi.{each_stack}.yaml")
        memory = values["memory_mib"]
        parts = ("weights", "kv_cache", "context", "graphs", "forward", "collectives")
        assert memory["total"] == sum(memory[part] for part in parts)
        assert memory["headroom"] == memory["budget"] - memory["total"] >= 0
        assert values["fits"] is True


def test_a_refused_stack_says_the_numbers_of_the_command(tmp_path: Path) -> None:
    """The command reads what the checks refuse, and both say the same sum and the same way out."""
    document = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    document["config"]["vllm-platform:models"][0]["engine"]["max_num_seqs"] = 64
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_stack_file(path)
    status, printed = _run("chat", "a10", path)
    assert status == 1
    memory = make_report("chat", "a10", path, Asked()).memory
    assert str(memory) in refused.value.problems[0].reason
    assert _line(printed, "sum") == f"sum {memory.total_mib:,}"
    for setting in ("max_num_seqs: 28", "max_model_len: 3632"):
        assert setting in refused.value.problems[0].fix
        assert setting in printed


def test_what_would_fit_is_said_with_the_smallest_number_of_gpus() -> None:
    status, printed = _run("Qwen/Qwen3-8B", "g5.2xlarge")
    assert status == 1
    assert printed.split("What would fit\n")[1].splitlines() == [
        "  max_num_seqs: 1",
        "  max_model_len: 992",
        "  tensor_parallel_size: 4, on a node with 4 of these GPUs",
        "  a GPU with more memory",
    ]
    assert (
        "2 GPUs 20,870 of 20,688 MiB a GPU, weights 7,812: does not fit, 182 too much; this node has 1"
        in _line(printed, "2 GPUs")
    )
    values = _values("Qwen/Qwen3-8B", "g5.12xlarge")
    assert values["would_fit"]["tensor_parallel_size"] == values["smallest_tensor_parallel_size"] == 4
    assert _run("Qwen/Qwen3-8B", "g5.12xlarge", tensor_parallel=4)[0] == 0


def test_sizes_that_can_not_be_dealt_out_are_named_with_the_reason() -> None:
    printed = _run("qwen-7b-vllm", "a10")[1]
    assert "28 attention heads and 4 KV heads can not be dealt out to 8 GPUs" in _line(printed, "8 GPUs")
    printed = _run("Qwen/Qwen2.5-14B-Instruct-AWQ", "g5.48xlarge", tensor_parallel=8)[1]
    assert "in the way: 13,824 quantized weights of a row" in printed


def test_a_mixture_of_experts_says_why_its_size_was_chosen() -> None:
    printed = _run("qwen3-235b-a22b", "a100")[1]
    assert (
        _line(printed, "in memory")
        == "in memory 128 experts in each of 94 layers: a token uses 8, and any may be next"
    )
    assert "2 would not do: 69,320 of 37,099 MiB each, weights alone 59,462" in _line(printed, "fewer GPUs")
    assert "32 whole experts of a layer <- asked" in _line(printed, "expert parallel")
    assert "384 of 1,536 wide, in whole groups of 128" in _line(printed, "tensor parallel")
    cut = _run("Qwen/Qwen3-30B-A3B-GPTQ-Int4", "g5.12xlarge", tensor_parallel=4)[1]
    assert "192 of 768 wide, which is not whole groups of 128" in _line(cut, "tensor parallel")
    assert "Experts" not in _run("qwen-7b-vllm", "a10")[1]


def test_kv_heads_beyond_their_number_are_copied() -> None:
    values = _values("qwen3-235b-a22b", "a100", tensor_parallel=8)
    assert values["kv_bytes_per_token"] == 2 * 94 * 1 * 128 * 2
    assert "4 KV heads on 8 GPUs: copied" in _run("qwen3-235b-a22b", "a100", tensor_parallel=8)[1]


def test_replicas_of_a_node_are_limited_by_gpus_memory_and_cpu() -> None:
    values = _values("qwen3-235b-a22b", "a100")
    room = instances()["p4d.24xlarge"]
    assert values["replicas_per_node_by"] == {
        "GPUs": 2,
        "memory": (room.allocatable_memory_mib - 1792) // (128 * 1024),
        "CPU": (room.allocatable_cpu_m - 800) // 16000,
    }
    assert values["replicas_per_node"] == 2
    # 16 GiB and 4 cores do not fit on a g5.xlarge, GPU or not.
    small = _run("qwen-7b-vllm", "g5.xlarge")
    assert small[0] == 1
    assert "in the way: a node has no room for a pod's memory" in small[1]
    assert "in the way: a node has no room for a pod's CPU" in small[1]


def test_prices_are_the_list_s_and_are_shared_by_the_replicas_of_a_node() -> None:
    price = _values("qwen3-235b-a22b", "a100")["price"]
    assert price == {
        "currency": "USD",
        "region": "us-east-1",
        "capacity": "reserved",
        "date": "2026-07-20",
        "on_demand_per_node_hour": 21.957642,
        "on_demand_per_replica_hour": 21.957642 / 2,
    }
    assert "a reservation has a price of its own" in _run("qwen3-235b-a22b", "a100")[1]
    assert "Spot varies and has no list price" in _run("qwen3-embedding", "a10-spot")[1]
    assert _line(_run("qwen-7b-vllm", "a10")[1], "price").startswith(
        "price 1.212 USD an hour on demand in us-east-1"
    )


def test_a_region_without_prices_has_none(tmp_path: Path) -> None:
    text = PROD.read_text(encoding="utf-8").replace("us-east-1", "eu-west-1")
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(text, encoding="utf-8")
    assert _values("qwen-7b-vllm", "a10", path)["price"]["on_demand_per_node_hour"] is None
    assert "no list price is known in eu-west-1" in _run("qwen-7b-vllm", "a10", path)[1]


def test_old_prices_are_told_of_after_90_days() -> None:
    assert "warning" not in _run("qwen-7b-vllm", "a10")[1]
    assert prices().warning(FRESH) is None
    file = io.StringIO()
    fit("qwen-7b-vllm", "a10", PROD, Asked(), today=FRESH + dt.timedelta(days=1), console=Console(file=file))
    assert "warning: prices are of 2026-07-20, more than 90 days old" in file.getvalue()


def test_prices_cover_every_instance_type_and_the_figures_are_the_known_ones() -> None:
    listed = prices().on_demand["us-east-1"]
    assert set(listed) == set(instances())
    assert (listed["g5.2xlarge"], listed["p4d.24xlarge"], listed["c6i.4xlarge"]) == (1.212, 21.957642, 0.68)
    with pytest.raises(ValueError, match="greater than 0"):
        Prices.model_validate({**prices().model_dump(), "on_demand": {"us-east-1": {"g5.2xlarge": 0}}})


def test_a_context_beyond_the_model_s_positions_is_in_the_way() -> None:
    status, printed = _run("qwen-7b-vllm", "a10", max_model_len=65536, max_num_seqs=1)
    assert status == 1
    assert "65,536 tokens are more than the model's 32,768 positions" in printed


def test_a_ready_model_brings_its_own_settings_and_pod() -> None:
    values = _values("qwen3guard", "g5.xlarge")
    assert (values["fits"], values["model"]) == (True, "Qwen/Qwen3Guard-Gen-0.6B")
    assert set(values["replicas_per_node_by"]) == {"GPUs", "memory", "CPU"}


@pytest.mark.parametrize(
    ("model", "place", "message"),
    [
        ("qwen-7b-vlm", "a10", "did you mean 'qwen-7b-vllm'"),
        ("qwen-7b-vllm", "a11", "neither a pool of stack prod"),
        ("qwen-7b-vllm", "platform", "has no GPUs"),
        ("qwen-7b-vllm", "c6i.4xlarge", "has no GPU"),
    ],
)
def test_a_name_that_leads_nowhere_is_said_with_what_there_is(model: str, place: str, message: str) -> None:
    with pytest.raises(UserError) as said:
        _run(model, place)
    assert message.lower() in str(said.value).lower()


def test_a_model_that_can_not_be_read_is_said_with_its_problem(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(
        PROD.read_text(encoding="utf-8").replace("max_num_seqs: 8", "max_num_seq: 8"), encoding="utf-8"
    )
    with pytest.raises(SettingsError, match="max_num_seq"):
        _run("qwen3-235b-a22b", "a100", path)
    assert _run("qwen-7b-vllm", "a10", path)[0] == 0


def test_the_settings_document_shows_the_command_s_own_lines() -> None:
    report = make_report("qwen-7b-vllm", "a10", PROD, Asked())
    document = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for line in memory_lines(report.facts, report.engine, report.gpu, report.memory):
        assert f"| {line.what.strip()} | {line.amount} | {line.how} |" in document
