"""Weights of the image: pinned, compared with what the source lists, the same layers from the same files, no token shown."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fetch_weights import fetch, main
from weight_layers import MANIFEST, Damaged, Refused, manifest
from weight_request import FAILED, REFUSED, checked_quantization, sentence
from weight_sources import Checksum, HuggingFace, ModelScope

pytestmark = pytest.mark.unit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_neverToBeSeen"  # noqa: S105 - a test's own
FILES = {
    "config.json": b'{"quantization_config": {"quant_method": "awq"}}',
    "model-00001-of-00002.safetensors": b"first" * 100,
    "model-00002-of-00002.safetensors": b"second" * 40,
    "model.safetensors.index.json": b"{}",
    "1_Pooling/config.json": b'{"pooling": 1}',
    "LICENSE": b"as it is",
    "README.md": b"a card",
    "modeling_model.py": b"print('hello')",
    "pytorch_model.bin": b"a pickle",
}


@dataclass(frozen=True)
class Lfs:
    sha256: str


@dataclass(frozen=True)
class Listed:
    """A file as either hub lists it."""

    rfilename: str
    blob_id: str | None
    lfs: Lfs | None

    @property
    def path(self) -> str:
        return self.rfilename

    @property
    def sha256(self) -> str | None:
        return self.lfs.sha256 if self.lfs else None

    @property
    def is_dir(self) -> bool:
        return not Path(self.rfilename).suffix and self.lfs is None and self.blob_id is None


@dataclass(frozen=True)
class Answer:
    sha: str | None
    siblings: Sequence[Listed] | None


@dataclass(frozen=True)
class Hub:
    """Both hubs' clients. `sent` is what downloads bring; the listing is of `files`."""

    files: Mapping[str, bytes]
    sent: Mapping[str, bytes]
    commit: str = COMMIT

    def model_info(self, repo_id: str, *, revision: str, files_metadata: bool) -> Answer:
        assert (repo_id, revision, files_metadata) == ("Owner/Name", COMMIT, True)
        return Answer(self.commit, [_listed(path, content) for path, content in self.files.items()])

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: Path) -> object:
        assert (repo_id, revision) == ("Owner/Name", COMMIT)
        notes = local_dir / ".cache" / "huggingface" / f"{Path(filename).name}.metadata"
        for path, content in ((notes, b"a note"), (local_dir / filename, self.sent[filename])):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return None

    def list_repo_files(self, repo_id: str, repo_type: str, *, revision: str) -> Sequence[Listed]:
        assert (repo_id, repo_type, revision) == ("Owner/Name", "model", COMMIT)
        files = [replace(_listed(path, b""), lfs=Lfs(_sum(content))) for path, content in self.files.items()]
        return [Listed("1_Pooling", None, None), *files]

    def download_file(
        self, repo_id: str, repo_type: str, file_path: str, *, revision: str, local_dir: Path
    ) -> object:
        assert repo_type == "model"
        return self.hf_hub_download(repo_id, file_path, revision=revision, local_dir=local_dir)


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _listed(path: str, content: bytes) -> Listed:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's name of a blob
    return Listed(path, git, Lfs(_sum(content)) if path.endswith(".safetensors") else None)


def _hub(sent: Mapping[str, bytes] | None = None, files: Mapping[str, bytes] = FILES) -> HuggingFace:
    client = Hub(files, {**files, **(sent or {})})
    return HuggingFace(client=client, model="Owner/Name", revision=COMMIT)


def _fetch(source: HuggingFace | ModelScope, out: Path, *, code: bool = False) -> str:
    return fetch(source, out, quantization="awq", allow_code=code, count=3)


def _tree(out: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(out)): (
            path.stat().st_mode & 0o777,
            int(path.stat().st_mtime),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in out.rglob("*")
    }


@pytest.fixture(autouse=True)
def _some_bytes_are_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weight_layers.SMALL_BYTES", 100)


def test_a_branch_that_is_called_like_a_commit_is_refused(tmp_path: Path) -> None:
    source = replace(_hub(), client=Hub(FILES, FILES, commit="f" * 40))
    with pytest.raises(Refused, match=r"answered with commit f+ where 0123"):
        _fetch(source, tmp_path / "out")


def test_layers_hold_the_files_an_engine_reads_and_their_manifest(tmp_path: Path) -> None:
    said = _fetch(_hub(), tmp_path / "out")
    taken = {
        path: content for path, content in FILES.items() if Path(path).suffix not in {".py", ".bin", ".md"}
    }
    assert said.startswith("6 files checked, 3 left out")
    laid = {
        path.partition("/")[2]: content
        for path, (_, _, content) in _tree(tmp_path / "out").items()
        if content
    }
    assert laid.pop(MANIFEST).decode() == manifest({path: _sum(content) for path, content in taken.items()})
    assert laid == taken
    assert sorted(path.name for path in (tmp_path / "out" / "layer-02").iterdir()) == sorted(
        {MANIFEST, "1_Pooling", "LICENSE", "config.json", "model.safetensors.index.json"}
    )


def test_two_builds_make_the_same_layers_to_the_last_mode_and_time(tmp_path: Path) -> None:
    _fetch(_hub(), tmp_path / "one")
    _fetch(_hub(files=dict(reversed(FILES.items()))), tmp_path / "two")
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")
    assert {modified for _, modified, _ in _tree(tmp_path / "one").values()} == {0}
    assert {mode for mode, _, _ in _tree(tmp_path / "one").values()} == {0o755, 0o644}


def test_their_folder_in_the_image_is_part_of_each_layer(tmp_path: Path) -> None:
    fetch(_hub(), tmp_path, quantization="awq", allow_code=False, count=2, folder="opt/model")
    assert (tmp_path / "layer-01" / "opt" / "model" / "config.json").exists()
    # The builder would give a folder that it makes the time of the build.
    assert {path.stat().st_mtime for path in tmp_path.glob("layer-*/opt")} == {0}


@pytest.mark.parametrize("path", ["model-00001-of-00002.safetensors", "config.json", "LICENSE"])
def test_a_file_that_is_not_the_listed_one_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=rf"The (SHA-256|git hash) of {path} is \w+, but the source lists \w+"):
        _fetch(_hub({path: FILES[path] + b" "}), tmp_path / "out")
    assert not list((tmp_path / "out").glob("layer-*"))


def test_modelscope_s_files_are_checked_like_the_hub_s(tmp_path: Path) -> None:
    good, bad = Hub(FILES, FILES), Hub(FILES, {**FILES, "config.json": FILES["config.json"] + b" "})
    _fetch(_hub(), tmp_path / "hub")
    _fetch(ModelScope(client=good, model="Owner/Name", revision=COMMIT), tmp_path / "out")
    assert _tree(tmp_path / "out") == _tree(tmp_path / "hub")
    with pytest.raises(Refused, match=r"The SHA-256 of config\.json is"):
        _fetch(ModelScope(client=bad, model="Owner/Name", revision=COMMIT), tmp_path / "bad")


def test_a_file_without_a_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(_: HuggingFace) -> dict[str, Checksum]:
        return dict.fromkeys(FILES, Checksum())

    monkeypatch.setattr(HuggingFace, "files", files)
    with pytest.raises(Refused, match=r"The source lists no checksum of config\.json"):
        _fetch(_hub(), tmp_path / "out")


def test_code_is_taken_only_when_it_is_asked_for(tmp_path: Path) -> None:
    assert _fetch(_hub(), tmp_path / "out", code=True).startswith("8 files checked, 1 left out")
    assert (tmp_path / "out" / "layer-02" / "modeling_model.py").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [("{}", "awq"), ('{"quantization_config": {"quant_method": "gptq"}}', "awq"), ("[]", "fp8")],
)
def test_a_quantization_that_the_weights_do_not_have_is_refused(config: str, said: str) -> None:
    with pytest.raises(Refused, match=rf"says quantization '{said}', but config\.json says"):
        checked_quantization(config, said)


@pytest.mark.parametrize(
    ("config", "said"),
    [("{}", "none"), ('{"quantization_config": {"quant_method": "compressed-tensors"}}', "fp8")],
)
def test_the_quantization_of_the_weights_is_accepted(config: str, said: str) -> None:
    checked_quantization(config, said)


def test_a_wrong_request_costs_one_small_file(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"says quantization 'gptq', but config\.json says 'awq'"):
        fetch(_hub(), tmp_path / "out", quantization="gptq", allow_code=False, count=3)
    assert {path for path, content in _tree(tmp_path / "out").items() if content[2] == FILES["config.json"]}
    assert not list((tmp_path / "out").rglob("*.safetensors"))


class TestToken:
    def _run(self, tmp_path: Path, revision: str = COMMIT, *more: str) -> int:
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        named = ["--source=huggingface", "--model=Owner/Name", f"--revision={revision}", "--quantization=awq"]
        return main(
            [
                *named,
                "--licence=MIT",
                f"--out={tmp_path / 'out'}",
                f"--token-file={tmp_path / 'token'}",
                *more,
            ]
        )

    def test_it_reaches_the_client_and_no_output(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        given: list[str | None] = []

        def source_of(*_: str, endpoint: str, token: str | None, credentials: Path) -> HuggingFace:
            assert (endpoint, credentials) == ("", Path("/run/secrets/aws_credentials"))
            given.append(token)
            return _hub()

        monkeypatch.setattr("weight_request.source_of", source_of)
        assert self._run(tmp_path) == 0
        assert given == [TOKEN]
        assert TOKEN not in "".join(capfd.readouterr())
        assert not [
            path for path, (_, _, content) in _tree(tmp_path / "out").items() if TOKEN.encode() in content
        ]

    def test_it_is_cut_out_of_a_client_s_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def fails(*_: object, **__: object) -> HuggingFace:
            raise ConnectionError(f"401 for\nhttps://cdn.test/f?sig=secret with {TOKEN}")

        monkeypatch.setattr("weight_request.source_of", fails)
        assert self._run(tmp_path) == FAILED
        assert capfd.readouterr() == ("", "ConnectionError: 401 for https://cdn.test/f?*** with ***\n")

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (["--revision=main"], "pins nothing"),
            (["--licence= "], "licence"),
            (["--quantization=int3"], "'int3'"),
            (["--endpoint=https://user:pass@mirror.test"], "The endpoint is not"),
        ],
    )
    def test_a_wrong_request_ends_before_it_is_read(
        self, more: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert self._run(tmp_path, COMMIT, *more) == REFUSED
        out, error = capfd.readouterr()
        assert out == ""
        assert said in error
        assert error.count("\n") == 1

    def test_a_refusal_stays_as_it_was_written(self) -> None:
        assert sentence(Refused("The licence is missing."), None) == "The licence is missing."
