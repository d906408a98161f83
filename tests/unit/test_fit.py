"""Memory of one GPU and packing of nodes, against sums done by hand and against brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import Engine, SettingsError, load_stack_file
from settings.adapters import Adapter, adapter_bytes_on_one
from settings.facts import GpuFacts, ModelFacts, instances, models
from settings.fit import MemoryFit, memory_fit
from settings.packing import Demand, fits_on, nodes_needed, room_of
from settings.shapes import deals_experts_unevenly
from tests.conftest import ROOT

QWEN_7B = models()["Qwen/Qwen2.5-7B-Instruct-AWQ"]
MOE = models()["Qwen/Qwen3-235B-A22B-GPTQ-Int4"]


def _gpu(instance: str) -> GpuFacts:
    gpu = instances()[instance].gpu
    assert gpu is not None
    return gpu


def _fit(model: ModelFacts, instance: str, **engine: object) -> MemoryFit:
    return memory_fit(model, Engine.model_validate({"max_num_seqs": 16, **engine}), _gpu(instance))


def test_the_chat_model_on_an_a10g_by_hand() -> None:
    """KV of a token: 2 x 28 layers x 4 heads x 128 x 2 bytes = 56 KiB; 16 x 8,192 tokens of it are 7 GiB.

    One block of 16 tokens more, which is never given out, is 0.875 MiB.
    """
    fit = _fit(QWEN_7B, "g5.2xlarge")
    assert (fit.kv_heads, fit.kv_token_bytes, fit.request_blocks) == (4, 56 * 1024, 512)
    assert fit.kv_mib == 7168 + 1
    assert fit.weights_mib == 5313  # 5.57 GB
    assert fit.overhead_mib == 512 + 1024 + 1120
    assert fit.budget_mib == int(22487 * 0.92)
    assert fit.total_mib == fit.weights_mib + fit.kv_mib + fit.overhead_mib
    assert fit.headroom_mib == fit.budget_mib - fit.total_mib == 5550
    assert fit.fits


def test_the_mixture_of_experts_on_four_a100_by_hand() -> None:
    """One KV head a GPU: 2 x 94 layers x 1 head x 128 x 2 bytes = 47 KiB a token."""
    fit = _fit(MOE, "p4d.24xlarge", max_num_seqs=8, tensor_parallel_size=4)
    assert (fit.kv_heads, fit.kv_token_bytes) == (1, 47 * 1024)
    assert fit.kv_mib == 3008 + 1
    # A quarter of 124.6 GB, and three quarters of 94 routers of 4,096 x 128 in 16 bits, which each GPU has.
    assert fit.weights_mib == 29707 + 71
    assert fit.overhead_mib == 512 + 1024 + 1280 + 1024
    assert 0 <= fit.headroom_mib < 1000


def test_the_mixture_of_experts_needs_four_gpus_and_not_two() -> None:
    assert not _fit(MOE, "p4d.24xlarge", max_num_seqs=1, tensor_parallel_size=2).fits
    assert _fit(MOE, "p4d.24xlarge", max_num_seqs=1, tensor_parallel_size=4).fits


def test_a_kv_head_is_copied_and_not_split_on_more_gpus_than_heads() -> None:
    four = _fit(MOE, "p4d.24xlarge", tensor_parallel_size=4)
    eight = _fit(MOE, "p4d.24xlarge", tensor_parallel_size=8)
    assert eight.kv_token_bytes == four.kv_token_bytes
    assert eight.weights_mib < four.weights_mib


def test_adapters_by_hand() -> None:
    """Of rank 16, one GPU. A layer: q 3584+3584, k and v 3584+512 each, o 3584+3584, gate and up 3584+18944 each, down 18944+3584."""
    layer = 2 * 7168 + 2 * 4096 + 3 * 22528
    adapter = 16 * (28 * layer + 2 * (152064 + 3584)) * 2
    two = [{"name": "a", "path": "/opt/a", "rank": 16}, {"name": "b", "path": "/opt/b", "rank": 8}]
    fit, without = _fit(QWEN_7B, "g5.2xlarge", adapters=two), _fit(QWEN_7B, "g5.2xlarge")
    # Each takes the place of the largest.
    assert fit.overhead.adapters_mib == -(-2 * adapter // 2**20)
    assert fit.overhead_mib == without.overhead_mib + fit.overhead.adapters_mib
    assert fit.most_sequences < without.most_sequences or fit.headroom_mib < without.headroom_mib
    assert without.overhead.adapters_mib == 0


def test_adapters_are_cut_like_the_layers_but_for_one_side_of_each() -> None:
    adapters = (Adapter(name="a", path="/opt/a", rank=16),)
    one, two = (adapter_bytes_on_one(QWEN_7B, adapters, parallel) for parallel in (1, 2))
    assert one / 2 < two < one


@pytest.mark.parametrize(("experts", "parallel"), [(128, 4), (8, 8), (60, 4)])
def test_whole_experts_that_can_be_dealt_out_evenly(experts: int, parallel: int) -> None:
    assert deals_experts_unevenly(MOE.model_copy(update={"experts": experts}), parallel) is None


@pytest.mark.parametrize(("experts", "parallel"), [(60, 8), (6, 4)])
def test_whole_experts_that_can_not_be_dealt_out_evenly(experts: int, parallel: int) -> None:
    said = deals_experts_unevenly(MOE.model_copy(update={"experts": experts}), parallel)
    assert said == f"{experts} experts can not be dealt out evenly to {parallel} GPUs"


def test_a_model_whose_experts_are_not_dealt_out_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of the facts has such a number, so this one is made."""
    odd = {
        name: facts.model_copy(update={"experts": 126} if facts is MOE else {})
        for name, facts in models().items()
    }
    monkeypatch.setattr("settings.checks.hardware.models", lambda: odd)
    with pytest.raises(SettingsError, match=r"126 experts can not be dealt out evenly to 4 GPUs") as refused:
        load_stack_file(ROOT / "Pulumi.prod.yaml")
    assert [problem.path for problem in refused.value.problems] == [
        "models[qwen3-235b-a22b].engine.enable_expert_parallel"
    ]


def test_a_fit_says_its_sum_in_one_line() -> None:
    text = str(_fit(QWEN_7B, "g5.2xlarge"))
    assert text == "weights 5,313 + KV cache 7,169 + overhead 2,656 = 15,138 MiB of 20,688 MiB a GPU"


def test_weights_alone_too_large_leave_nothing_to_offer() -> None:
    fit = _fit(MOE, "g5.2xlarge")
    assert (fit.most_sequences, fit.longest_context) == (0, 0)
    assert not fit.fits


@given(
    model=st.sampled_from(list(models().values())),
    instance=st.sampled_from([name for name, facts in instances().items() if facts.gpu]),
    length=st.integers(min_value=16, max_value=131072),
    sequences=st.integers(min_value=1, max_value=512),
    share=st.floats(min_value=0.1, max_value=1),
    parallel=st.sampled_from([1, 2, 4, 8]),
)
def test_what_is_offered_fits_and_more_does_not(  # noqa: PLR0917 - hypothesis passes them by name
    model: ModelFacts, instance: str, length: int, sequences: int, share: float, parallel: int
) -> None:
    def fit(**change: int) -> MemoryFit:
        asked = {"max_model_len": length, "max_num_seqs": sequences, **change}
        return _fit(model, instance, gpu_memory_utilization=share, tensor_parallel_size=parallel, **asked)

    asked = fit()
    assert asked.fits == (asked.headroom_mib >= 0)
    if asked.most_sequences:
        assert fit(max_num_seqs=asked.most_sequences).fits
        assert not fit(max_num_seqs=asked.most_sequences + 1).fits
    if asked.longest_context:
        assert fit(max_model_len=asked.longest_context).fits
        if asked.longest_context < model.max_positions:
            assert not fit(max_model_len=asked.longest_context + 1).fits


def _demand(gpus: int, memory: int = 1, cpu: int = 1) -> Demand:
    return Demand(gpus=gpus, memory_mib=memory, cpu_m=cpu)


NODE = Demand(gpus=8, memory_mib=1000, cpu_m=1000)


@pytest.mark.parametrize(
    ("demands", "nodes"),
    [
        ([], 0),
        ([(_demand(4), 0)], 0),
        ([(_demand(4), 2)], 1),
        ([(_demand(4), 3)], 2),
        ([(_demand(8), 3)], 3),
        ([(_demand(5), 2), (_demand(3), 2)], 2),
        ([(_demand(1, memory=600), 4)], 4),
        ([(_demand(1, cpu=300), 4)], 2),
        ([(_demand(8), 1), (_demand(1), 8)], 2),
    ],
)
def test_nodes_are_filled_by_whole_replicas(demands: list[tuple[Demand, int]], nodes: int) -> None:
    assert nodes_needed(demands, NODE) == nodes


def test_a_replica_larger_than_a_node_is_an_error() -> None:
    with pytest.raises(ValueError, match="fits on no node"):
        nodes_needed([(_demand(9), 1)], NODE)


SIZES = st.tuples(st.integers(1, 8), st.integers(1, 500), st.integers(1, 500), st.integers(0, 6))


@given(st.lists(SIZES, max_size=4))
def test_packing_is_between_the_sum_and_one_replica_a_node(sizes: list[tuple[int, int, int, int]]) -> None:
    demands = [(Demand(gpus=g, memory_mib=m, cpu_m=c), count) for g, m, c, count in sizes]
    replicas = sum(count for _, count in demands)
    least = max(
        -(-sum(each.gpus * count for each, count in demands) // NODE.gpus),
        -(-sum(each.memory_mib * count for each, count in demands) // NODE.memory_mib),
        -(-sum(each.cpu_m * count for each, count in demands) // NODE.cpu_m),
    )
    assert least <= nodes_needed(demands, NODE) <= replicas


def test_the_agents_of_a_node_are_taken_off_its_room() -> None:
    room = room_of(instances()["g5.2xlarge"])
    assert (room.gpus, room.cpu_m, room.memory_mib) == (1, 7910 - 800, 29317 - 1792)
    assert fits_on(_demand(1, memory=16384, cpu=4000), room)
    assert fits_on(room, room)
    assert room_of(instances()["c6i.4xlarge"]).gpus == 0
