"""What a build may ask for, and the clients that it gets."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from weight_layers import Refused
from weight_sources import checked_endpoint, checked_request, source_of

pytestmark = pytest.mark.unit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MIRROR = "https://mirror.test:8443/hub"
Given = list[tuple[str, str | None, str | bool | None]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """What the clients were made with: their packages are not installed here."""
    seen: Given = []

    def client(package: str) -> Callable[..., object]:
        def made(*, endpoint: str | None, token: str | bool | None) -> object:
            seen.append((package, endpoint, token))
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


def _make(source: str, *, endpoint: str, token: str | None) -> None:
    source_of(source, "Owner/Name", COMMIT, endpoint=endpoint, token=token, credentials=Path("/nowhere"))


def test_a_hub_s_client_gets_the_build_s_token_and_mirror(given: Given) -> None:
    for source in ("huggingface", "modelscope"):
        _make(source, endpoint=MIRROR, token="a token")  # noqa: S106 - a test's own
    assert given == [("huggingface_hub", MIRROR, "a token"), ("modelscope_hub", MIRROR, "a token")]


def test_without_them_the_hub_s_client_looks_for_no_other_token(given: Given) -> None:
    _make("huggingface", endpoint="", token=None)
    assert given == [("huggingface_hub", None, False)]


@pytest.mark.parametrize(
    ("source", "endpoint"),
    [
        ("huggingface", ""),
        ("huggingface", MIRROR),
        ("modelscope", "https://mirror.test"),
        ("huggingface", "http://127.0.0.1:8080"),
        ("s3", "http://minio.internal:9000"),
    ],
)
def test_an_endpoint_is_an_address(source: str, endpoint: str) -> None:
    checked_endpoint(source, endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "mirror.test",
        "ftp://mirror.test",
        "https://user:hidden@mirror.test",
        "https://mirror.test?key=hidden",
        " ",
    ],
)
def test_an_endpoint_that_is_more_or_less_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(Refused, match=r"The endpoint is not http\(s\)://HOST.* a secret") as refused:
        checked_endpoint("huggingface", endpoint)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_hub_is_not_asked_in_the_clear(source: str) -> None:
    with pytest.raises(Refused, match=r"http://mirror\.test is not https"):
        checked_endpoint(source, "http://mirror.test")
