"""Which files of a model an image takes, how they are laid out as layers, and their manifest."""

import hashlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weight_layers import LARGEST_LAYER_BYTES, SMALL_BYTES, Refused, layers, manifest, parsed_manifest, wanted

pytestmark = pytest.mark.unit

SIZES = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}\.safetensors", fullmatch=True),
    st.integers(0, 4 * 2**30),
    min_size=1,
    max_size=16,
)


def test_weights_are_taken_once() -> None:
    twice = ["original/consolidated.00.safetensors", "consolidated.safetensors", "onnx/model.json"]
    listed = ["config.json", "model.safetensors.index.json", "model-1.safetensors", *twice]
    assert wanted(listed, allow_code=False) == [
        "config.json",
        "model-1.safetensors",
        "model.safetensors.index.json",
    ]
    only = ["config.json", "consolidated.safetensors"]
    assert wanted(only, allow_code=False) == only


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../config.json", "a/../../b.json", "a\nb.json", "a\\b.json", ""]
)
def test_a_path_that_leaves_the_folder_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="not one below its folder"):
        wanted(["config.json", "model.safetensors", path], allow_code=False)


@pytest.mark.parametrize(
    ("paths", "said"), [(["model.safetensors"], r"no config\.json"), (["config.json"], r"no weights as")]
)
def test_what_is_no_model_is_refused(paths: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        wanted(paths, allow_code=False)


@given(sizes=SIZES, count=st.integers(2, 8), seed=st.randoms())
def test_layers_are_balanced_complete_and_the_same_for_any_order(
    sizes: dict[str, int],
    count: int,
    seed: Random,
) -> None:
    shuffled = list(sizes.items())
    seed.shuffle(shuffled)
    large = [size for size in sizes.values() if size >= SMALL_BYTES]
    most = sum(large) / (count - 1) + max(large, default=0)
    try:
        rows = layers(sizes, count)
    except Refused:
        assert most > LARGEST_LAYER_BYTES
        return
    assert sorted(path for row in rows for path in row) == sorted(sizes)
    assert max(sum(sizes[path] for path in row) for row in rows[:-1]) <= most
    assert layers(dict(shuffled), count) == rows


def test_a_model_that_is_too_large_for_an_image_is_refused() -> None:
    with pytest.raises(Refused, match="stream it from S3"):
        layers({f"model-{index}.safetensors": 5 * 10**9 for index in range(25)}, 8)


@given(sums=st.dictionaries(st.from_regex(r"[a-zA-Z0-9_ .-]*[a-z]", fullmatch=True), st.binary(), min_size=1))
def test_a_manifest_is_read_as_it_was_written(sums: dict[str, bytes]) -> None:
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sums.items()}
    assert parsed_manifest(manifest(hashes)) == hashes


@pytest.mark.parametrize("text", ["", "abc  config.json\n", f"{'0' * 64}  ../x\n", f"{'0' * 64}  a\n" * 2])
def test_a_manifest_that_does_not_pin_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parsed_manifest(text)
