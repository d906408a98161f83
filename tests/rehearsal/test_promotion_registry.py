"""Images are copied by their digests between two real registries, and what is not what its digest says is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.promotion.registry import Registries
from rehearsal.errors import UserError
from settings.registry import Image
from tests import loopback
from tests.rehearsal.registries import Registry, crane, registry

pytestmark = pytest.mark.rehearsal

REPOSITORY = "llm/vllm-qwen3-embedding"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "source") as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "target") as made:
        yield made


@pytest.fixture
def image(source: Registry, tmp_path: Path) -> Image:
    digest = source.push(REPOSITORY, "v1.1", b"weights", tmp_path)
    return Image(repository=REPOSITORY, tag="v1.1", digest=digest)


def between(source: str, target: str) -> Registries:
    return Registries(crane=crane(), source=source, target=target)


def test_an_image_is_copied_under_its_digest_and_its_tag_once(
    source: Registry, target: Registry, image: Image
) -> None:
    both = between(source.host, target.host)
    assert both.bring(image).endswith(": copied")
    assert image.digest is not None
    assert target.manifest(REPOSITORY, "v1.1") == source.manifest(REPOSITORY, image.digest)
    assert both.bring(image).endswith(": there already")


def test_a_tag_that_is_another_image_in_the_target_is_left_alone(
    source: Registry, target: Registry, image: Image, tmp_path: Path
) -> None:
    theirs = target.push(REPOSITORY, "v1.1", b"other weights", tmp_path)
    with pytest.raises(UserError, match=f"is {theirs} already.*a tag never moves"):
        between(source.host, target.host).bring(image)
    assert target.manifest(REPOSITORY, "v1.1") == target.manifest(REPOSITORY, theirs)


def test_a_digest_that_nobody_pushed_is_refused(source: Registry, target: Registry, image: Image) -> None:
    unknown = image.model_copy(update={"digest": "sha256:" + "ee" * 32})
    with pytest.raises(UserError, match="is not to be had"):
        between(source.host, target.host).bring(unknown)


def test_a_layer_that_was_tampered_with_does_not_arrive(
    source: Registry, target: Registry, image: Image
) -> None:
    (layer,) = source.manifest(REPOSITORY, "v1.1")["layers"]
    (blob,) = source.blobs.rglob(layer["digest"].removeprefix("sha256:"))
    content = bytearray(blob.read_bytes())
    content[-1] ^= 0xFF
    blob.write_bytes(content)
    with pytest.raises(UserError, match="was not written"):
        between(source.host, target.host).bring(image)


def test_a_registry_that_answers_a_digest_with_other_content_is_refused(target: Registry) -> None:
    class Other(loopback.Quiet):
        def do_GET(self) -> None:  # noqa: N802 - the name is the library's
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            self.write(200, b'{"schemaVersion": 2}' if "manifests" in self.path else b"{}", kind)

        do_HEAD = do_GET  # noqa: N815 - likewise

    image = Image(repository=REPOSITORY, tag="v1.1", digest="sha256:" + "ee" * 32)
    with loopback.serving(Other) as url, pytest.raises(UserError, match=r"does not match|another image"):
        between(url.removeprefix("http://"), target.host).bring(image)
