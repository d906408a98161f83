"""Weights of the image out of a bucket, by the whole command and Amazon's own client; answers are made in this process."""

import hashlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

import fill_cache
import pytest
from fetch_weights import main
from moto import mock_aws
from weight_layers import MANIFEST, manifest
from weight_request import FAILED, REFUSED

pytestmark = pytest.mark.unit

FILES = {
    "config.json": b'{"quantization_config": {"quant_method": "awq"}}',
    "model.safetensors": b"weights" * 100,
    "1_Pooling/config.json": b'{"pooling": 1}',
    "not-listed.json": b"{}",
}
LISTED = {
    path: hashlib.sha256(content).hexdigest() for path, content in FILES.items() if path != "not-listed.json"
}
REVISION = hashlib.sha256(manifest(LISTED).encode()).hexdigest()[:40]


class Client(Protocol):
    """What these tests use of boto3, which has no types."""

    def create_bucket(self, *, Bucket: str) -> object: ...  # noqa: N803
    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> object: ...  # noqa: N803


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A model's prefix with its manifest."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # The command sets it; this puts it back afterwards.
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with mock_aws():
        client: Client = import_module("boto3").client("s3")
        client.create_bucket(Bucket="models")
        for path, content in {**FILES, MANIFEST: manifest(LISTED).encode()}.items():
            client.put_object(Bucket="models", Key=f"qwen/{path}", Body=content)
        yield client


def _request(tmp_path: Path, model: str = "s3://models/qwen/") -> list[str]:
    credentials = tmp_path / "aws"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    request = {"source": "s3", "model": model, "revision": REVISION, "quantization": "awq", "licence": "MIT"}
    files = {"token-file": "/nowhere", "aws-credentials-file": credentials}
    return [f"--{name}={value}" for name, value in {**request, **files}.items()]


def _run(tmp_path: Path, model: str = "s3://models/qwen/") -> int:
    return main(["--layers=2", f"--out={tmp_path / 'out'}", *_request(tmp_path, model)])


def _laid(out: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("bucket")
def test_what_the_manifest_lists_is_fetched_and_nothing_else(tmp_path: Path) -> None:
    assert _run(tmp_path) == 0
    listed = {f"layer-01/{path}": FILES[path] for path in LISTED}
    assert _laid(tmp_path / "out") == {**listed, f"layer-01/{MANIFEST}": manifest(LISTED).encode()}


def test_another_manifest_is_refused(
    bucket: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    less = {path: LISTED[path] for path in ("config.json", "model.safetensors")}
    bucket.put_object(Bucket="models", Key=f"qwen/{MANIFEST}", Body=manifest(less).encode())
    assert _run(tmp_path) == REFUSED
    assert f"which does not begin with {REVISION}" in capsys.readouterr().err


def test_an_object_that_was_replaced_is_refused(
    bucket: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put_object(Bucket="models", Key="qwen/model.safetensors", Body=b"other")
    assert _run(tmp_path) == FAILED
    assert "The SHA-256 of model.safetensors is" in capsys.readouterr().err


@pytest.mark.usefixtures("bucket")
def test_a_prefix_without_a_manifest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "s3://models/llama") == FAILED
    error = capsys.readouterr().err
    assert "NoSuchKey" in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("bucket")
def test_the_same_request_fills_a_shared_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "claim").mkdir()
    command = [f"--root={tmp_path / 'claim'}", f"--place=qwen/{REVISION}", *_request(tmp_path)]
    assert fill_cache.main(command) == 0
    assert _laid(tmp_path / "claim" / "qwen" / REVISION) == {
        **{path: FILES[path] for path in LISTED},
        MANIFEST: manifest(LISTED).encode(),
    }
    assert fill_cache.main(command) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f": 3 files, now at qwen/{REVISION}")
    assert second.endswith(f": is there already, at qwen/{REVISION}")
