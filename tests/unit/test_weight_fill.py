"""The Job that brings weights to a claim: what it runs, as whom, where, and that its model waits for it."""

import importlib
from pathlib import Path
from typing import Any, Final

import pytest
import weight_request

from components.deployability import placeholder_images
from components.engine_args import engine_args
from components.model_names import reader_account
from components.weight_fill import CLAIM, REFUSED, Filling, fetch_args, job_name, job_spec
from ops.image import image_command
from ops.program_graph import program_graph
from settings import Model, Settings, build, load_stack_file
from settings.fetch import Fetch
from settings.image_build import fetch_plan
from settings.registry import Image
from settings.scalars import DNS_LABEL_MAX, MODEL_NAME_MAX
from settings.sources import BucketSource, ModelScopeSource
from settings.storage import CompatibleBucket
from settings.weights import CachedWeights, JobFill
from tests.conftest import ROOT
from tests.made_stacks import made_stack, sections_of
from tests.unit.test_shared_claim import STORE

pytestmark = pytest.mark.unit

FILL: Final = JobFill(kind="job", timeout_seconds=600)
CACHE: Final = CachedWeights(
    kind="cache", claim="models", mount_path="/mnt/models", sub_path="llm", fill=FILL
)
IMAGE: Final = Image(repository="llm/fetch", tag="v1.0")


@pytest.fixture
def cached(local: Settings) -> Model:
    """The stack's first model, with its weights on a claim."""
    return local.models[0].model_copy(update={"weights": CACHE})


def _filling(model: Model, *, secret: str | None = None, store: CompatibleBucket | None = None) -> Filling:
    return Filling(
        model=model,
        weights=CACHE,
        fill=FILL,
        fetch=Fetch(image=IMAGE, hub_token_secret=secret),
        image="registry.invalid/llm/fetch:v1.0",
        region="us-east-1",
        not_on=["a10", "a100"],
        store=store,
    )


def _spec(filling: Filling) -> dict[str, Any]:
    return job_spec(filling, service_account="account", priority_class="low")


def _pod(filling: Filling) -> Any:  # noqa: ANN401
    return _spec(filling)["template"]["spec"]


def test_the_engine_reads_where_the_job_writes(cached: Model) -> None:
    (place,) = [arg for arg in fetch_args(_filling(cached)) if arg.startswith("--place=")]
    where = f"llm/{cached.model}/{cached.revision}"
    assert place == f"--place={where}"
    assert engine_args(cached)[0] == f"/mnt/models/{where}"


def test_the_program_takes_its_arguments_and_is_told_all_of_the_pinned_model(cached: Model) -> None:
    program = importlib.import_module("fill_cache")
    args = program.parser().parse_args(fetch_args(_filling(cached)))
    request = weight_request.Request.of(args)
    assert (request.source, request.model, request.revision) == (
        "huggingface",
        cached.model,
        cached.revision,
    )
    assert (request.quantization, request.licence) == (cached.facts.quantization, cached.facts.licence)
    assert args.root == Path(CLAIM)
    assert not request.allow_code


def test_other_sources_are_named_by_their_address(cached: Model) -> None:
    scope = cached.model_copy(update={"source": ModelScopeSource(kind="modelscope")})
    bucket = cached.model_copy(update={"source": BucketSource(kind="s3", uri="s3://models/qwen")})
    assert {"--source=modelscope", f"--model={cached.model}"} <= set(fetch_args(_filling(scope)))
    assert {"--source=s3", "--model=s3://models/qwen"} <= set(fetch_args(_filling(bucket)))


def test_a_mirror_is_asked_where_one_is_named(cached: Model) -> None:
    source = ModelScopeSource(kind="modelscope", endpoint="https://hub.internal")
    mirrored = cached.model_copy(update={"source": source})
    args = importlib.import_module("fill_cache").parser().parse_args(fetch_args(_filling(mirrored)))
    assert weight_request.Request.of(args).endpoint == "https://hub.internal"
    assert not [arg for arg in fetch_args(_filling(cached)) if "--endpoint" in arg]


def test_a_bucket_is_read_under_the_job_s_account_with_the_store_s_keys(cached: Model) -> None:
    bucket = cached.model_copy(update={"source": BucketSource(kind="s3", uri="s3://models/qwen")})
    assert reader_account(bucket) == f"{cached.name}-fill"
    own = _pod(_filling(bucket))["containers"][0]["env"]
    assert own == [{"name": "AWS_REGION", "value": "us-east-1"}]
    store = {v["name"]: v for v in _pod(_filling(bucket, store=STORE))["containers"][0]["env"]}
    assert store["AWS_ENDPOINT_URL"]["value"] == STORE.endpoint
    assert store["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == STORE.credentials_secret
    assert "env" not in _pod(_filling(cached, store=STORE))["containers"][0]


def test_a_token_is_a_file_and_nothing_else(cached: Model) -> None:
    pod = _pod(_filling(cached, secret="hub-token"))  # noqa: S106 - the name of a Secret
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == "hub-token"
    assert f"--token-file={mount['mountPath']}/token" in pod["containers"][0]["args"]
    assert mount["readOnly"]
    assert "hub-token" not in str(_pod(_filling(cached)))


def test_it_asks_for_no_gpu_and_keeps_off_nodes_that_have_some(cached: Model) -> None:
    pod = _pod(_filling(cached))
    assert "tolerations" not in pod
    assert set(pod["containers"][0]["resources"]["limits"]) == {"cpu", "memory"}
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [
        {"key": "vllm-platform.io/pool", "operator": "NotIn", "values": ["a10", "a100"]}
    ]


def test_it_keeps_the_restricted_level_and_writes_only_to_the_claim_and_tmp(cached: Model) -> None:
    pod = _pod(_filling(cached))
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == 1001
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    assert writable == [CLAIM, "/tmp"]  # noqa: S108 - the container's
    assert not pod["automountServiceAccountToken"]


def test_a_refused_request_is_not_tried_again_and_an_eviction_is_no_failure(cached: Model) -> None:
    spec = _spec(_filling(cached))
    assert REFUSED == weight_request.REFUSED
    refused, evicted = spec["podFailurePolicy"]["rules"]
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailJob", [REFUSED])
    assert evicted["action"] == "Ignore"
    # A policy needs pods that are not started again in place.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 600
    assert "ttlSecondsAfterFinished" not in spec


def test_nothing_that_selects_a_model_s_replicas_finds_the_job_s_pod(cached: Model) -> None:
    labels = _spec(_filling(cached))["template"]["metadata"]["labels"]
    assert not {"app", "vllm-platform.io/model", "serving.kserve.io/inferenceservice"} & set(labels)


def test_the_longest_name_of_a_model_leaves_room_for_the_job_s() -> None:
    assert len(job_name("m" * MODEL_NAME_MAX, "f" * 40)) <= DNS_LABEL_MAX


def _filled_stack(folder: Path, **changes: Any) -> Path:  # noqa: ANN401
    """Prod, with the embedding model's weights on the shared claim."""
    prod = sections_of(ROOT, "prod")
    models = [dict(model) for model in prod["models"]]
    models[-1] |= {
        "weights": {
            "kind": "cache",
            "claim": "pvc-nfs-models",
            "mount_path": "/mnt/models",
            "fill": {"kind": "job"},
        },
        **changes,
    }
    image = {"repository": "llm/fetch", "tag": "v1.0", "digest": models[0]["image"]["digest"]}
    storage = {**prod["storage"], "fetch": {"image": image}}
    return made_stack(ROOT, folder, "filled", "prod", {"models": models, "storage": storage})


def test_the_model_waits_for_the_job_and_the_job_for_the_claim_and_its_rights(tmp_path: Path) -> None:
    source = {"kind": "s3", "uri": "s3://acme-llm-prod-models/embedding"}
    graph = program_graph("filled", _filled_stack(tmp_path, source=source))
    by_name = {resource["name"]: resource for resource in graph.resources}
    job = by_name["qwen3-embedding-weights-job"]
    # What a component waits for, all that is in it waits for.
    fill, model, other = (
        by_name[name] for name in ("qwen3-embedding-weights", "qwen3-embedding", "qwen-7b-vllm")
    )
    assert job["parent"] == fill["urn"]
    assert job["urn"] in model["dependencies"]
    for first in ("shared-weights-claim", "qwen3-embedding-access-association"):
        assert by_name[first]["urn"] in fill["dependencies"], first
    association = by_name["qwen3-embedding-access-association"]["inputs"]
    assert association["serviceAccount"] == job["inputs"]["spec"]["template"]["spec"]["serviceAccountName"]
    assert not {job["urn"], by_name["shared-weights-claim"]["urn"]} & set(other["dependencies"])
    assert job["inputs"]["spec"]["template"]["spec"]["priorityClassName"] == "llm-prod-best-effort"


def test_an_example_digest_of_what_fills_claims_is_named(tmp_path: Path) -> None:
    settings = load_stack_file(_filled_stack(tmp_path) / "Pulumi.filled.yaml")
    assert "storage.fetch" in settings.example_digests()
    assert "storage.fetch.image.digest" in {problem.path for problem in placeholder_images(settings)}
    off = [model.model_copy(update={"enabled": False}) for model in settings.models]
    assert settings.model_copy(update={"models": tuple(off)}).example_digests() == []


def test_a_rehearsal_keeps_what_fills_claims(tmp_path: Path) -> None:
    from rehearsal.substitutions import substitute  # noqa: PLC0415 - the one test that needs it

    settings = load_stack_file(_filled_stack(tmp_path) / "Pulumi.filled.yaml")
    sections = sections_of(tmp_path, "filled")
    config = {f"vllm-platform:{key}": value for key, value in sections.items()}
    swapped, applied = substitute(config, settings, "filled")
    rehearsed = build("filled", {key.partition(":")[2]: value for key, value in swapped.items()})
    assert rehearsed.fetch == settings.fetch
    (row,) = [row for row in applied if row.what == "weights' Jobs"]
    assert row.stack == "qwen3-embedding"


def test_the_program_can_build_what_fills_claims(local: Settings, cached: Model) -> None:
    fetch = Fetch(image=IMAGE.model_copy(update={"build": True}))
    storage = local.storage.model_copy(update={"fetch": fetch})
    settings = local.model_copy(update={"storage": storage, "models": (cached,)})
    plan = fetch_plan(settings, fetch)
    assert (plan.target, plan.repository) == ("fetch", IMAGE.repository)
    assert set(plan.arguments) == {"FETCH_BASE", "VERSION"}
    assert settings.fetch == fetch


def test_a_pipeline_is_told_how_to_build_it(tmp_path: Path) -> None:
    command = image_command("filled", "storage.fetch", _filled_stack(tmp_path))
    assert "--target=fetch" in command
    assert "llm/fetch:v1.0" in command
