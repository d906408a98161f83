"""What the parts of the settings say of themselves: labels, selectors, quantities, paths, names of images."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from settings import EXAMPLE_DIGEST, GpuPool, Image, Model, Problem, Settings, SettingsError, load_stack_file
from settings.facts import instances, models, offered_zones, read, region_of, regions
from settings.problems import VALUE_SHOWN
from settings.registry import EcrRegistry
from settings.scalars import MODEL_NAME_MAX, ModelName, mebibytes, millicores
from settings.weights import StreamedWeights, bucket_and_prefix

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


def _model(settings: Settings, name: str) -> Model:
    return next(model for model in settings.models if model.name == name)


def _pool(settings: Settings, name: str) -> GpuPool:
    return next(pool for pool in settings.gpu_pools if pool.name == name)


def test_a_gpu_pool_s_nodes_carry_what_its_pods_select(settings: Settings) -> None:
    for pool in settings.gpu_pools:
        assert pool.node_selector.items() <= pool.node_labels.items()
        for taint, toleration in zip(pool.node_taints, pool.tolerations, strict=True):
            assert toleration == {**taint, "operator": "Equal"}


def test_labels_and_taint_of_a_gpu_pool(settings: Settings) -> None:
    assert _pool(settings, "a100").node_labels == {
        "vllm-platform.io/pool": "a100",
        "vllm-platform.io/capacity": "reserved",
        "node.kubernetes.io/gpu-type": "A100",
        "nvidia.com/gpu.present": "true",
    }
    assert _pool(settings, "a100").node_taints == [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    ]


def test_a_cpu_pool_has_no_taint_and_no_gpu_label(settings: Settings) -> None:
    platform = settings.pools[0]
    assert platform.node_taints == []
    assert set(platform.node_labels) == {"vllm-platform.io/pool", "vllm-platform.io/capacity"}


def test_no_two_pools_are_selected_by_one_selector(settings: Settings) -> None:
    for pool in settings.gpu_pools:
        hit = [
            other for other in settings.gpu_pools if pool.node_selector.items() <= other.node_labels.items()
        ]
        assert hit == [pool]


def test_zones_of_a_pool_are_its_own_or_the_cluster_s(settings: Settings) -> None:
    assert settings.zones_of(_pool(settings, "a100")) == ("us-east-1a",)
    assert settings.zones_of(_pool(settings, "a10")) == ("us-east-1a", "us-east-1b")


def test_pool_of_says_so_where_a_selector_does_not_decide(settings: Settings) -> None:
    lost = settings.models[0].model_copy(
        update={"selector": settings.models[0].selector.model_copy(update={"pool": None})}
    )
    with pytest.raises(LookupError, match="leaves 3 pools, not 1"):
        settings.pool_of(lost)


def test_an_image_is_named_with_host_tag_and_digest(settings: Settings) -> None:
    reference = settings.image_reference(_model(settings, "qwen-7b-vllm"))
    assert reference == f"{settings.registry.host}/llm/vllm-qwen-7b-awq:v1.0@{EXAMPLE_DIGEST}"
    assert (
        Image(repository="llm/x", tag="v1").reference("harbor.internal/llm") == "harbor.internal/llm/llm/x:v1"
    )


def test_the_registry_of_china_has_a_domain_of_its_own() -> None:
    host = EcrRegistry(kind="ecr", account="123456789012", region="cn-north-1").host
    assert host.endswith(".cn-north-1.amazonaws.com.cn")


def test_the_engine_reads_the_weights_where_they_are(settings: Settings) -> None:
    chat, moe = _model(settings, "qwen-7b-vllm"), _model(settings, "qwen3-235b-a22b")
    assert chat.container_path == "/opt/model"
    assert moe.container_path == f"s3://acme-llm-prod-models/qwen3-235b-a22b-gptq-int4/{moe.revision}"
    base = load_stack_file(ROOT / "tests" / "data" / "broken" / "base.yaml")
    assert _model(base, "embedding").container_path == "/mnt/models/embedding"


def test_bucket_and_prefix_of_streamed_weights() -> None:
    weights = StreamedWeights(kind="s3", uri="s3://llm-models/a/b/")
    assert bucket_and_prefix(weights.uri) == ("llm-models", "a/b")


def test_the_grace_period_holds_pre_stop_and_drain(settings: Settings) -> None:
    lifecycle = settings.models[0].lifecycle
    assert lifecycle.termination_grace_seconds == 15 + 120 + 15


@pytest.mark.parametrize(
    ("quantity", "amount"), [("4", 4000), ("0.5", 500), ("500m", 500), ("1.25", 1250), ("7910m", 7910)]
)
def test_cpu_quantities(quantity: str, amount: int) -> None:
    assert millicores(quantity) == amount


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [("16Gi", 16384), ("29317Mi", 29317), ("32G", 30517), ("1.5Gi", 1536), ("2Ti", 2097152)],
)
def test_memory_quantities(quantity: str, amount: int) -> None:
    assert mebibytes(quantity) == amount


@pytest.mark.parametrize("quantity", ["", "16GB", "Gi", "-1Gi", "1e3Mi", "4 cores", "m"])
def test_other_quantities_are_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        mebibytes(quantity)
    with pytest.raises(ValueError, match="quantity"):
        millicores(quantity)


@given(st.text(alphabet="abz019-_.A", max_size=60))
def test_every_accepted_model_name_gives_valid_labels(name: str) -> None:
    """KServe labels pods `app: isvc.<name>-predictor`, 63 characters at most."""
    try:
        ModelNameType.validate_python(name)
    except ValidationError:
        return
    assert name[0].isalpha()
    assert len(f"isvc.{name}-predictor") <= 63
    assert len(name) <= MODEL_NAME_MAX


ModelNameType: TypeAdapter[str] = TypeAdapter(ModelName)


def test_settings_can_not_be_changed_nor_extended(settings: Settings) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings.models[0].name = "other"  # pyright: ignore[reportAttributeAccessIssue] - that is the point
    with pytest.raises(ValidationError, match="Extra inputs"):
        Image.model_validate({"repository": "llm/x", "tag": "v1", "extra": 1})


def test_problems_are_numbered_and_each_says_its_fix() -> None:
    error = SettingsError(
        "prod", [Problem("a.b", 1, "is wrong", "write 2"), Problem("c", None, "is missing", "add it")]
    )
    assert str(error).splitlines() == [
        "stack prod: 2 problems in its settings, nothing was deployed",
        "  1. a.b: is wrong (found 1)",
        "    fix: write 2",
        "  2. c: is missing",
        "    fix: add it",
    ]


def test_a_long_value_is_shown_in_one_short_line() -> None:
    shown = Problem("a", "x\ny" * 500, "r", "f").shown_value
    assert len(shown) == VALUE_SHOWN
    assert "\n" not in shown


def test_every_data_file_has_a_date_and_a_source() -> None:
    for name in ("instances.yaml", "models.yaml", "regions.yaml", "offerings.yaml"):
        assert read(name)["date"]
        assert read(name)["source"]


def test_instance_facts_agree_with_themselves_and_each_other() -> None:
    for name, facts in instances().items():
        assert facts.allocatable_cpu_m < facts.vcpu * 1000
        assert facts.allocatable_memory_mib < facts.memory_mib
        if facts.gpu:
            assert facts.gpu.cuda_mib < facts.gpu.memory_mib
        assert name in read("offerings.yaml")["offered"]


def test_allocatable_memory_follows_the_formula_that_the_data_names() -> None:
    """0.925 x memory - (255 + 11 a pod) - 100 MiB; g4dn.xlarge, p5, and those with two limits on pods, differ."""
    follow = {
        "g5.xlarge",
        "g5.2xlarge",
        "g6.2xlarge",
        "g6e.2xlarge",
        "p3.2xlarge",
        "p4d.24xlarge",
        "c6i.4xlarge",
    }
    for name in follow:
        facts = instances()[name]
        formula = int(0.925 * facts.memory_mib) - (255 + 11 * facts.max_pods) - 100
        assert abs(facts.allocatable_memory_mib - formula) <= 1, name


def test_model_facts_agree_with_themselves() -> None:
    for name, facts in models().items():
        assert facts.attention_heads % facts.kv_heads == 0, name
        bits = 8 * facts.weight_bytes / facts.parameters
        assert (
            (4 < bits < 7) if facts.quantization in {"awq", "gptq"} else bits == pytest.approx(16, rel=0.01)
        ), name


def test_zones_belong_to_one_region_and_carry_its_name() -> None:
    for region, zones in regions().items():
        assert all(zone.startswith(region) and region_of(zone) == region for zone in zones)


def test_offers_are_known_unknown_or_none() -> None:
    assert offered_zones("p4d.24xlarge", "us-east-1") == 4
    assert offered_zones("p4d.24xlarge", "eu-west-3") == 0
    assert offered_zones("p4d.24xlarge", "cn-north-1") is None
    assert offered_zones("x9.large", "us-east-1") is None
