"""What a build may ask for, and the clients that it gets."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from weight_layers import Refused
from weight_sources import checked_request, source_of

pytestmark = pytest.mark.unit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Given = list[tuple[str, str | bool | None]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """What the clients were made with: their packages are not installed here."""
    seen: Given = []

    def client(package: str) -> Callable[..., object]:
        def made(*, token: str | bool | None) -> object:
            seen.append((package, token))
            return object()

        return made

    def import_module(package: str) -> SimpleNamespace:
        return SimpleNamespace(HfApi=client(package), HubApi=client(package))

    monkeypatch.setattr("weight_sources.import_module", import_module)
    return seen


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.parametrize(
    "revision", ["", "main", "v1.0", COMMIT[:12], COMMIT.upper(), COMMIT + "0", f"{COMMIT}\n"]
)
def test_a_revision_that_is_no_full_commit_is_refused(source: str, revision: str) -> None:
    with pytest.raises(Refused, match=r"pins nothing, .* 40 lower-case hex digits"):
        checked_request(source, "Owner/Name", revision)


@pytest.mark.parametrize("revision", ["", "latest", COMMIT[:39], COMMIT + COMMIT])
def test_a_prefix_is_pinned_by_the_hash_of_its_manifest(revision: str) -> None:
    with pytest.raises(Refused, match=r"pins nothing.* SHA-256 of SHA256SUMS"):
        checked_request("s3", "s3://models/qwen", revision)


@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("huggingface", ""),
        ("huggingface", "Name"),
        ("modelscope", "a/b/c"),
        ("s3", "s3://bucket"),
        ("s3", "a/b"),
    ],
)
def test_a_model_is_named_in_full(source: str, model: str) -> None:
    with pytest.raises(Refused, match="The model"):
        checked_request(source, model, COMMIT)


def test_a_hub_s_client_gets_the_build_s_token(given: Given) -> None:
    for source in ("huggingface", "modelscope"):
        source_of(source, "Owner/Name", COMMIT, "a token", Path("/nowhere"))
    assert given == [("huggingface_hub", "a token"), ("modelscope_hub", "a token")]


def test_without_one_the_hub_s_client_looks_for_no_other(given: Given) -> None:
    source_of("huggingface", "Owner/Name", COMMIT, None, Path("/nowhere"))
    assert given == [("huggingface_hub", False)]
