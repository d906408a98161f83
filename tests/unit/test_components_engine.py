"""Arguments, files, environment and probes of an engine."""

import importlib
from typing import Any

import pytest
from vllm_platform_middleware.configuration import read

from components.addons.otel_pipelines import OTLP_GRPC
from components.engine_args import METRICS_PORT, MIDDLEWARE, engine_args, tracing_args
from components.engine_files import (
    CACHE,
    HOME,
    SHARED_MEMORY,
    TMP,
    engine_environment,
    engine_files,
    tracing_environment,
)
from components.probes import before_stop, probes
from settings import (
    CachedWeights,
    Lifecycle,
    Model,
    Mount,
    Settings,
    StreamedWeights,
    TrustRemoteCode,
)
from settings.adapters import Adapter
from settings.weights import RESERVED_PATHS

pytestmark = pytest.mark.unit


@pytest.fixture
def model(local: Settings) -> Model:
    """The stack's plain model: one GPU, weights in the image."""
    (found,) = [model for model in local.models if model.name == "qwen-7b-vllm"]
    return found


@pytest.fixture
def mixture(local: Settings) -> Model:
    """The stack's model of four GPUs, streamed from S3."""
    (found,) = [model for model in local.models if model.gpus == 4]
    return found


def _with_engine(model: Model, **changes: Any) -> Model:  # noqa: ANN401
    return model.model_copy(update={"engine": model.engine.model_copy(update=changes)})


class TestEngineArgs:
    def test_the_plain_model_has_these_and_no_other(self, model: Model) -> None:
        assert engine_args(model) == [
            "/opt/model",
            "--served-model-name=qwen-7b-vllm",
            "--host=0.0.0.0",
            "--port=8000",
            "--dtype=auto",
            "--max-model-len=8192",
            "--gpu-memory-utilization=0.92",
            "--max-num-seqs=16",
            "--shutdown-timeout=120",
            "--middleware=vllm_platform_middleware.Middleware",
            "--disable-uvicorn-access-log",
        ]

    def test_spans_are_sent_to_the_collector_under_the_model_s_name_or_not_at_all(self, model: Model) -> None:
        assert tracing_args(None) == []
        assert tracing_environment(model, None) == []
        assert tracing_args(OTLP_GRPC) == [f"--otlp-traces-endpoint=http://{OTLP_GRPC}"]
        assert tracing_environment(model, OTLP_GRPC) == [{"name": "OTEL_SERVICE_NAME", "value": model.name}]

    def test_the_middleware_is_the_image_s_and_takes_what_it_is_told(self, model: Model) -> None:
        module, _, name = MIDDLEWARE.rpartition(".")
        assert hasattr(importlib.import_module(module), name)
        variables = {v["name"]: str(v.get("value")) for v in engine_environment(model, "us-east-1")}
        found = read({name: value for name, value in variables.items() if name.startswith("VP_")})
        assert (found.service, found.model_version) == (model.name, model.image.tag)
        assert found.metrics_port == METRICS_PORT

    def test_several_gpus_are_named_and_experts_are_split_when_asked(self, mixture: Model) -> None:
        args = engine_args(mixture)
        assert {"--tensor-parallel-size=4", "--enable-expert-parallel"} <= set(args)
        assert "--enable-expert-parallel" not in engine_args(
            _with_engine(mixture, enable_expert_parallel=False)
        )

    def test_streamed_weights_are_read_from_their_address_with_bounded_memory(self, mixture: Model) -> None:
        args = engine_args(mixture)
        assert args[0].startswith("s3://")
        assert "--load-format=runai_streamer" in args
        assert '--model-loader-extra-config={"memory_limit":5368709120}' in args

    def test_the_streamer_is_told_how_to_read(self, mixture: Model) -> None:
        assert isinstance(mixture.weights, StreamedWeights)
        weights = mixture.weights.model_copy(update={"concurrency": 32, "distributed": True})
        args = engine_args(mixture.model_copy(update={"weights": weights}))
        extra = '{"memory_limit":5368709120,"concurrency":32,"distributed":true}'
        assert f"--model-loader-extra-config={extra}" in args

    def test_code_of_the_model_is_trusted_only_with_a_reason(self, model: Model) -> None:
        trusted = _with_engine(model, trust_remote_code=TrustRemoteCode(reason="custom tokenizer"))
        assert "--trust-remote-code" in engine_args(trusted)
        assert "--trust-remote-code" not in engine_args(model)

    def test_an_embedding_model_runs_as_one(self, model: Model) -> None:
        assert "--runner=pooling" in engine_args(model.model_copy(update={"task": "embed"}))

    def test_adapters_are_named_behind_one_flag_and_all_of_them_fit_into_a_batch(self, model: Model) -> None:
        adapters = (
            Adapter(name="sql", path="/opt/adapters/sql", rank=16),
            Adapter(name="support-de", path="/mnt/adapters/de", rank=64),
        )
        args = engine_args(_with_engine(model, adapters=adapters))
        assert args[-6:] == [
            "--enable-lora",
            "--max-loras=2",
            "--max-lora-rank=64",
            "--lora-modules",
            "sql=/opt/adapters/sql",
            "support-de=/mnt/adapters/de",
        ]

    def test_a_share_of_memory_is_written_without_rounding_errors(self, model: Model) -> None:
        args = engine_args(_with_engine(model, gpu_memory_utilization=0.1 + 0.2))
        assert "--gpu-memory-utilization=0.3" in args


class TestEngineFiles:
    def test_everything_that_is_written_lies_below_tmp(self, model: Model) -> None:
        mounts = engine_files(model).mounts
        assert {mount["mountPath"] for mount in mounts} == {TMP, HOME, CACHE}
        variables = {v["name"]: v["value"] for v in engine_environment(model, "us-east-1")}
        directories = [value for value in variables.values() if value.startswith("/")]
        assert directories
        assert all(value.startswith(f"{TMP}/") for value in directories)

    def test_no_weights_can_be_where_scratch_is_mounted(self) -> None:
        """The settings refuse these paths for weights, so nothing mounted there can hide them."""
        assert {TMP, "/dev"} <= set(RESERVED_PATHS)
        assert all(path.startswith((f"{TMP}/", "/dev/")) for path in (HOME, CACHE, SHARED_MEMORY))

    def test_scratch_space_has_a_limit(self, model: Model) -> None:
        assert all("sizeLimit" in volume["emptyDir"] for volume in engine_files(model).volumes)

    def test_gpus_that_work_together_share_memory(self, model: Model, mixture: Model) -> None:
        (shared,) = [v for v in engine_files(mixture).volumes if v["name"] == "shared-memory"]
        assert shared["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
        assert {"name": "shared-memory", "mountPath": SHARED_MEMORY} in engine_files(mixture).mounts
        assert "shared-memory" not in {volume["name"] for volume in engine_files(model).volumes}

    def test_cached_weights_are_mounted_for_reading(self, model: Model) -> None:
        weights = CachedWeights(
            kind="cache", claim="pvc-nfs-models", mount_path="/mnt/models", sub_path="qwen"
        )
        cached = model.model_copy(update={"weights": weights})
        files = engine_files(cached)
        assert {"name": "weights", "mountPath": "/mnt/models", "readOnly": True} in files.mounts
        claim = {"claimName": "pvc-nfs-models", "readOnly": True}
        assert {"name": "weights", "persistentVolumeClaim": claim} in files.volumes
        assert engine_args(cached)[0] == "/mnt/models/qwen"

    def test_extra_claims_are_mounted_as_asked(self, model: Model) -> None:
        mounts = (Mount(claim="a", path="/mnt/a"), Mount(claim="b", path="/mnt/b", read_only=False))
        files = engine_files(model.model_copy(update={"mounts": mounts}))
        assert files.mounts[-2:] == [
            {"name": "mount-0", "mountPath": "/mnt/a", "readOnly": True},
            {"name": "mount-1", "mountPath": "/mnt/b"},
        ]

    def test_every_mount_has_its_volume(self, mixture: Model) -> None:
        files = engine_files(mixture.model_copy(update={"mounts": (Mount(claim="a", path="/mnt/a"),)}))
        assert [mount["name"] for mount in files.mounts] == [volume["name"] for volume in files.volumes]

    def test_only_streamed_weights_need_a_region(self, model: Model, mixture: Model) -> None:
        assert isinstance(mixture.weights, StreamedWeights)
        region = {"name": "AWS_REGION", "value": "eu-west-1"}
        assert region in engine_environment(mixture, "eu-west-1")
        assert region not in engine_environment(model, "eu-west-1")


class TestProbes:
    def test_all_ask_for_health_on_the_engine_s_port(self) -> None:
        assert {probe["httpGet"]["path"] for probe in probes(Lifecycle()).values()} == {"/health"}
        assert {probe["httpGet"]["port"] for probe in probes(Lifecycle()).values()} == {8000}

    @pytest.mark.parametrize(("seconds", "failures"), [(900, 90), (901, 91), (5, 1)])
    def test_the_start_may_take_as_long_as_the_settings_say(self, seconds: int, failures: int) -> None:
        startup = probes(Lifecycle(startup_seconds=seconds))["startupProbe"]
        assert startup["failureThreshold"] == failures
        assert startup["failureThreshold"] * startup["periodSeconds"] >= seconds

    def test_a_pod_waits_before_it_drains(self) -> None:
        assert before_stop(Lifecycle(pre_stop_seconds=20)) == {
            "lifecycle": {"preStop": {"sleep": {"seconds": 20}}}
        }

    def test_no_wait_is_no_hook(self) -> None:
        assert before_stop(Lifecycle(pre_stop_seconds=0)) == {}
