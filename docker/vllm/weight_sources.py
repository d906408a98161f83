"""Where weights are fetched from: Hugging Face, ModelScope, a bucket. Each lists files with their checksums, and brings one."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from weight_layers import MANIFEST, Damaged, Refused, parsed_manifest

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# As long as a commit, so that one setting holds either; 160 bits of SHA-256 can not be hit by another manifest.
_MANIFEST_HASH: Final = re.compile(r"[0-9a-f]{40,64}")
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# Without a password, a query or a fragment: build arguments stand in the image's history.
_ENDPOINT: Final = re.compile(r"(?P<scheme>https?)://(?P<host>[\w.-]+)(:\d{1,5})?(/[\w./-]*)?", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
_S3_URI: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[^/].*?)/?")
_CHUNK_BYTES: Final = 8 * 2**20


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """What a source says of one file: the SHA-256 of its bytes, or the name that git gives them (small files on the hub)."""

    sha256: str | None = None
    git_sha1: str | None = None


class Source(Protocol):
    """A model's folder at one pinned revision."""

    def files(self) -> dict[str, Checksum]:
        """Return every path with its checksum."""
        ...

    def download(self, path: str, folder: Path) -> None:
        """Write the file to folder/path."""
        ...


class HubLfs(Protocol):
    """What the hub says of a large file."""

    @property
    def sha256(self) -> str: ...  # noqa: D102


class HubFile(Protocol):
    """What the hub says of a file."""

    @property
    def rfilename(self) -> str: ...  # noqa: D102
    @property
    def blob_id(self) -> str | None: ...  # noqa: D102
    @property
    def lfs(self) -> HubLfs | None: ...  # noqa: D102


class HubModel(Protocol):
    """What the hub says of a model."""

    @property
    def sha(self) -> str | None: ...  # noqa: D102
    @property
    def siblings(self) -> Sequence[HubFile] | None: ...  # noqa: D102


class HubClient(Protocol):
    """What is used of huggingface_hub.HfApi."""

    def model_info(self, repo_id: str, *, revision: str, files_metadata: bool) -> HubModel: ...  # noqa: D102
    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: Path) -> object: ...  # noqa: D102


class ScopeFile(Protocol):
    """What ModelScope says of a file."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def is_dir(self) -> bool: ...  # noqa: D102
    @property
    def sha256(self) -> str | None: ...  # noqa: D102


class ScopeClient(Protocol):
    """What is used of modelscope_hub.HubApi."""

    def list_repo_files(self, repo_id: str, repo_type: str, *, revision: str) -> Sequence[ScopeFile]: ...  # noqa: D102
    def download_file(  # noqa: D102
        self, repo_id: str, repo_type: str, file_path: str, *, revision: str, local_dir: Path
    ) -> object: ...


class S3Client(Protocol):
    """What is used of boto3.client("s3")."""

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def download_file(self, *, Bucket: str, Key: str, Filename: str) -> object: ...  # noqa: D102, N803


@dataclass(frozen=True, kw_only=True)
class HuggingFace:
    """A repository of Hugging Face's hub at a commit."""

    client: HubClient
    model: str
    revision: str

    def files(self) -> dict[str, Checksum]:
        """Return every path: large files have a SHA-256, small ones the hash of a git blob."""
        info = self.client.model_info(self.model, revision=self.revision, files_metadata=True)
        if info.sha != self.revision:
            # A branch or tag may be called like a commit.
            raise Refused(f"The hub answered with commit {info.sha} where {self.revision} was asked for.")
        return {
            file.rfilename: Checksum(sha256=file.lfs.sha256) if file.lfs else Checksum(git_sha1=file.blob_id)
            for file in info.siblings or ()
        }

    def download(self, path: str, folder: Path) -> None:
        """Write the file to folder/path."""
        self.client.hf_hub_download(self.model, path, revision=self.revision, local_dir=folder)


@dataclass(frozen=True, kw_only=True)
class ModelScope:
    """A repository of ModelScope at a commit."""

    client: ScopeClient
    model: str
    revision: str

    def files(self) -> dict[str, Checksum]:
        """Return every path with its SHA-256."""
        listed = self.client.list_repo_files(self.model, "model", revision=self.revision)
        return {file.path: Checksum(sha256=file.sha256) for file in listed if not file.is_dir}

    def download(self, path: str, folder: Path) -> None:
        """Write the file to folder/path."""
        self.client.download_file(self.model, "model", path, revision=self.revision, local_dir=folder)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A prefix on S3 that has a SHA256SUMS; the revision is the beginning of that file's own SHA-256."""

    client: S3Client
    bucket: str
    prefix: str
    revision: str

    def files(self) -> dict[str, Checksum]:
        """Return what the manifest lists; other objects below the prefix do not count."""
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{MANIFEST}")[
            "Body"
        ].read()
        found = hashlib.sha256(body).hexdigest()
        if not found.startswith(self.revision):
            raise Refused(f"The SHA-256 of {MANIFEST} is {found}, which does not begin with {self.revision}.")
        sums = parsed_manifest(body.decode())
        return {path: Checksum(sha256=value) for path, value in sums.items()}

    def download(self, path: str, folder: Path) -> None:
        """Write the object to folder/path."""
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.client.download_file(Bucket=self.bucket, Key=f"{self.prefix}/{path}", Filename=str(target))


def checked_request(source: str, model: str, revision: str) -> None:
    """Check model and revision before any client is made.

    :raises Refused: one is missing, or names what can change.
    """
    if source == "s3":
        if not _S3_URI.fullmatch(model):
            raise Refused(f"The model {model!r} is not s3://BUCKET/PREFIX.")
        if not _MANIFEST_HASH.fullmatch(revision):
            raise Refused(
                f"The revision {revision!r} pins nothing: "
                f"give the first 40 to 64 digits of the SHA-256 of {MANIFEST} below the prefix."
            )
        return
    if not _REPOSITORY.fullmatch(model):
        raise Refused(f"The model {model!r} is not OWNER/NAME.")
    if not _COMMIT.fullmatch(revision):
        raise Refused(
            f"The revision {revision!r} pins nothing, since a branch or tag can move: "
            "give the commit of the model's repository, 40 lower-case hex digits."
        )


def checked_endpoint(source: str, endpoint: str) -> None:
    """Check the address of a mirror or store; empty is the source's own.

    :raises Refused: it holds more than an address, or what it says could be changed on its way.
    """
    if not endpoint:
        return
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        # Not repeated: it may hold a password.
        raise Refused(
            "The endpoint is not http(s)://HOST[:PORT][/PATH]: a user or password belongs into a secret."
        )
    # A bucket's files are pinned by the revision, and its keys are never sent; a hub's list and token are.
    if source != "s3" and found["scheme"] == "http" and found["host"] not in _LOOPBACK:
        raise Refused(
            f"The endpoint {endpoint} is not https, but a hub is sent the token, and files are compared with what it lists."
        )


def source_of(
    source: str, model: str, revision: str, *, endpoint: str, token: str | None, credentials: Path
) -> Source:
    """Return the source with a real client. The clients' packages are installed where weights are fetched, and in no engine's image."""
    address = endpoint or None
    if source == "huggingface":
        # False: no token of the environment either.
        client = import_module("huggingface_hub").HfApi(endpoint=address, token=token or False)
        return HuggingFace(client=client, model=model, revision=revision)
    if source == "modelscope":
        client = import_module("modelscope_hub").HubApi(endpoint=address, token=token)
        return ModelScope(client=client, model=model, revision=revision)
    if credentials.exists():
        # The profile `default` may hold `region` and, where no endpoint is given, `endpoint_url`.
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
    found = _S3_URI.fullmatch(model)
    assert found is not None, "checked_request was not called"  # noqa: S101 - a mistake of this program
    client = import_module("boto3").client("s3", endpoint_url=address)
    return Bucket(client=client, bucket=found["bucket"], prefix=found["prefix"], revision=revision)


def verified(file: Path, path: str, said: Checksum) -> str:
    """Return the file's SHA-256.

    :raises Damaged: it is not the file that the source lists.
    :raises Refused: the source lists no checksum.
    """
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha256.update(chunk)
            if said.git_sha1:
                git.update(chunk)
    if said.sha256:
        name, expected, found = "SHA-256", said.sha256.lower(), sha256.hexdigest()
    elif said.git_sha1:
        name, expected, found = "git hash", said.git_sha1, git.hexdigest()
    else:
        raise Refused(f"The source lists no checksum of {path}.")
    if found != expected:
        raise Damaged(f"The {name} of {path} is {found}, but the source lists {expected}.")
    return sha256.hexdigest()
