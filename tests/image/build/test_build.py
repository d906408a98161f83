"""The image, built by the builder of production from its Dockerfile, on stand-ins for the bases."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from weight_layers import MANIFEST, manifest

from components.engine_args import API_PORT, METRICS_PORT
from tests.image.build.bases import ENGINE_BASE, Bases
from tests.image.build.buildkit import Build, BuildKit
from tests.image.build.conftest import (
    ARGUMENTS,
    COMMIT,
    CONTEXT,
    LARGE_BYTES,
    MODEL,
    NEVER_SEEN,
    SMALL,
    WEIGHTS,
    StartHub,
    sha256,
    told,
)
from tests.image.build.oci_layout import Image, Layer

pytestmark = pytest.mark.image

MIDDLEWARE = "/opt/vllm-platform/vllm_platform_middleware"
SUMS = manifest({path: sha256(content) for path, content in WEIGHTS.items()})


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A build that must not succeed: what the hub has and lists, what the build is told, and the sentence that ends it."""

    name: str
    said: str
    files: Mapping[str, bytes] = field(default_factory=lambda: SMALL)
    listed: Mapping[str, str] = field(default_factory=dict[str, str])
    told: Mapping[str, str] = field(default_factory=dict[str, str])


class TestConfiguration:
    def test_a_container_starts_as_the_pods_do(self, baked: Image) -> None:
        config = baked.config
        assert config["User"] == "1001:1001"
        assert config["Entrypoint"] == ["vllm", "serve"]
        assert "Cmd" not in config
        assert set(config["ExposedPorts"]) == {f"{API_PORT}/tcp", f"{METRICS_PORT}/tcp"}
        variables = dict(line.split("=", 1) for line in config["Env"])
        assert (variables["HOME"], variables["USER"]) == ("/tmp/home", "vllm")  # noqa: S108 - in the image
        assert variables["PYTHONPATH"] == "/opt/vllm-platform"
        assert variables["HF_HUB_OFFLINE"] == "1"

    def test_labels_say_what_is_in_it(self, baked: Image) -> None:
        own = {
            "source": "huggingface",
            "model": MODEL,
            "revision": COMMIT,
            "quantization": "awq",
            "licence": "Apache-2.0",
        }
        common = {
            "title": "vllm-platform-engine",
            "description": f"vLLM with the platform's request log and the weights of {MODEL}",
            "licenses": "Apache-2.0 AND Apache-2.0",
            "vendor": "vllm-platform",
            "version": "v1.2.3",
            "revision": "abcdef",
            "base.name": ENGINE_BASE,
        }
        assert baked.config["Labels"] == {
            **{f"io.vllm-platform.{key}": value for key, value in own.items()},
            **{f"org.opencontainers.image.{key}": value for key, value in common.items()},
        }

    def test_the_user_has_a_line_in_passwd(self, baked: Image) -> None:
        (layer,) = [layer for layer in baked.layers[2:] if "/etc/passwd" in layer.members]
        assert layer.read("/etc/passwd").decode().splitlines()[-1] == (
            "engine:x:1001:1001:vLLM:/tmp/home:/usr/sbin/nologin"
        )
        assert {layer.members[path].mode & 0o777 for path in ("/etc/passwd", "/etc/group")} == {0o644}


class TestWeights:
    def test_they_are_layers_of_their_own_and_whole(self, baked: Image) -> None:
        found = {
            path: (layer.read(path), layer.members[path].mode & 0o777)
            for layer in weight_layers(baked)
            for path in layer.files()
        }
        expected = {**WEIGHTS, MANIFEST: SUMS.encode()}
        # Not compared as one: pytest would print megabytes.
        assert set(found) == {f"/opt/model/{path}" for path in expected}
        assert not [path for path in expected if found[f"/opt/model/{path}"] != (expected[path], 0o644)]

    def test_large_files_are_pulled_side_by_side_and_small_ones_together(self, baked: Image) -> None:
        rows = [[Path(path).name for path in layer.files()] for layer in weight_layers(baked)]
        large = [path for path, content in WEIGHTS.items() if len(content) >= LARGE_BYTES]
        assert sorted(rows[:-1]) == [[]] * 5 + [[path] for path in large]
        assert set(rows[-1]) == {*WEIGHTS, MANIFEST} - set(large)

    def test_the_other_target_has_none(self, plain: Image) -> None:
        files = {path for layer in plain.layers for path in layer.members}
        assert not [path for path in files if path.startswith("/opt/model")]
        assert f"{MIDDLEWARE}/__init__.py" in files
        assert plain.config["User"] == "1001:1001"
        assert not [label for label in plain.config["Labels"] if label.startswith("io.vllm-platform.")]

    def test_they_come_out_of_a_store_that_is_not_amazon_s(
        self, buildkit: BuildKit, build: Build, store: str
    ) -> None:
        sums = manifest({path: sha256(content) for path, content in SMALL.items()})
        given = {"SOURCE": "s3", "MODEL": "s3://models/qwen", "REVISION": sha256(sums.encode())[:40]}
        image = buildkit.image(told(build, ENDPOINT=store, **given))
        assert image.config["Labels"]["io.vllm-platform.source"] == "s3"
        last = weight_layers(image)[-1]
        assert last.read("/opt/model/model.safetensors") == SMALL["model.safetensors"]
        assert_no_secret(image)


class TestLayers:
    def test_the_middleware_is_the_last_and_small(self, baked: Image) -> None:
        last = baked.layers[-1]
        sources = {path.name for path in (CONTEXT / "vllm_platform_middleware").glob("*.py")}
        assert {Path(path).name for path in last.files()} == sources
        assert {str(Path(path).parent) for path in last.files()} == {MIDDLEWARE}
        assert {member.mode & 0o777 for member in last.members.values()} == {0o755}
        assert last.size < 64 * 2**10

    def test_a_change_of_the_middleware_changes_the_last_and_no_other(
        self, buildkit: BuildKit, baked_build: Build, baked: Image, tmp_path: Path
    ) -> None:
        context = tmp_path / "context"
        shutil.copytree(CONTEXT, context, ignore=shutil.ignore_patterns("__pycache__"))
        with (context / "vllm_platform_middleware" / "record.py").open("a") as file:
            file.write("# a change\n")
        changed = buildkit.image(replace(baked_build, context=context))
        assert changed.digests[:-1] == baked.digests[:-1]
        assert changed.digests[-1] != baked.digests[-1]

    def test_a_builder_without_a_cache_makes_the_same_layers_of_weights_on_a_newer_base(
        self, buildkit: BuildKit, baked_build: Build, baked: Image, bases: Bases
    ) -> None:
        newer = buildkit.image(replace(baked_build, bases=bases.of(bases.newer), use_cache=False))
        assert newer.digests[1] != baked.digests[1]
        assert [layer.digest for layer in weight_layers(newer)] == [
            layer.digest for layer in weight_layers(baked)
        ]


class TestSecrets:
    def test_none_is_in_what_is_pushed(self, baked: Image) -> None:
        """The hub answered, so the token was there; pip found packages, so its configuration was."""
        assert_no_secret(baked)

    def test_what_is_searched_is_all_of_it(self, baked: Image) -> None:
        """Else the test above would guard nothing."""
        content = b"".join(part for part in baked.bytes_of_all() if len(part) < LARGE_BYTES)
        for somewhere in (
            b"def request_id(",
            b"engine:x:1001",
            b"LABEL org.opencontainers",
            b"buildDefinition",
        ):
            assert somewhere in content


def test_provenance_says_from_what_it_was_built(baked: Image, bases: Bases) -> None:
    (statement,) = baked.attested()
    predicate: dict[str, Any] = statement["predicate"]
    told_arguments: Mapping[str, str] = predicate["buildDefinition"]["externalParameters"]["request"]["args"]
    assert {f"build-arg:{name}": value for name, value in ARGUMENTS.items()}.items() <= told_arguments.items()
    materials = json.dumps(predicate["buildDefinition"]["resolvedDependencies"])
    for base in (bases.fetch, bases.engine):
        assert base.digest.removeprefix("sha256:") in materials


@pytest.mark.parametrize(
    "case",
    [
        Refusal(
            name="files that run code",
            files={"config.json": SMALL["config.json"], "model.bin": b"a pickle", "model.py": b"print()"},
            said="The source has no weights as *.safetensors.",
        ),
        Refusal(
            name="another quantization",
            told={"QUANTIZATION": "gptq"},
            said="The request says quantization 'gptq', but config.json says 'awq'.",
        ),
        Refusal(
            name="no licence", told={"LICENCE": ""}, said="The licence of the weights is missing: give its"
        ),
        Refusal(name="a branch", told={"REVISION": "main"}, said="The revision 'main' pins nothing"),
        Refusal(
            name="a password in the endpoint",
            told={"ENDPOINT": "https://user:password@mirror.test"},
            said="The endpoint is not http(s)://HOST[:PORT][/PATH]",
        ),
        Refusal(
            name="not the listed file",
            listed={"model.safetensors": "0" * 64},
            said=f"The SHA-256 of model.safetensors is {sha256(SMALL['model.safetensors'])}, "
            f"but the source lists {'0' * 64}.",
        ),
    ],
    ids=lambda case: case.name,
)
def test_a_build_ends_with_a_sentence(
    buildkit: BuildKit, build: Build, start_hub: StartHub, case: Refusal
) -> None:
    with start_hub(case.files) as hub:
        hub.listed |= case.listed
        assert_refused(buildkit, told(build, **{"ENDPOINT": hub.url, **case.told}), case.said)


def test_a_base_without_the_streamer_ends_the_build(buildkit: BuildKit, build: Build, bases: Bases) -> None:
    bare = replace(build, bases=bases.of(bases.bare), target="plain")
    assert_refused(buildkit, bare, f"The base {ENGINE_BASE} has no package runai-model-streamer-s3")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store like S3 on loopback with a model and its manifest."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    make: Callable[..., Any] = import_module("boto3").client
    client = make("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket="models")
    sums = manifest({path: sha256(content) for path, content in SMALL.items()})
    for path, content in {**SMALL, MANIFEST: sums.encode()}.items():
        client.put_object(Bucket="models", Key=f"qwen/{path}", Body=content)
    yield url
    server.stop()


def weight_layers(image: Image) -> list[Layer]:
    """Return the eight layers before the last."""
    layers = image.layers[-9:-1]
    assert all(path.startswith("/opt/model") for layer in layers for path in layer.files())
    return layers


def assert_no_secret(image: Image) -> None:
    assert not [part[:200] for part in image.bytes_of_all() if NEVER_SEEN.encode() in part]


def assert_refused(buildkit: BuildKit, build: Build, said: str) -> None:
    """The build ends, says that in a line of its own, and shows neither a traceback nor a secret."""
    log = buildkit.refusal(build)
    assert [line for line in log.splitlines() if said in line and "RUN" not in line]
    assert "Traceback" not in log
    assert NEVER_SEEN not in log
