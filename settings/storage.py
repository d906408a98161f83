"""Where weights lie: a bucket that replicas stream from, and a directory that they share."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.fetch import Fetch
from settings.scalars import ClaimName, MemoryQuantity

_BUCKET: Final = re.compile(r"[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
DEFAULT_CLAIM: Final = "pvc-nfs-models"
EBS_CLASS: Final = "gp3"
"""Storage class that the program makes on EKS."""


def _bucket(value: str) -> str:
    if not _BUCKET.fullmatch(value):
        raise refusal(
            "not the name of a bucket that TLS works with",
            "use 3 to 63 lower-case letters, digits and '-', without dots, e.g. 'acme-llm-models'",
        )
    return value


def _endpoint(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise refusal(
            "an address with credentials in it, and a stack file is committed",
            "write the address alone; the keys belong into the Secret named in `credentials_secret`",
        )
    if parts.scheme != "https" or not _HOST.fullmatch(parts.hostname or "") or parts.path not in {"", "/"}:
        raise refusal(
            "not the address of an S3-compatible store over TLS", "write e.g. 'https://s3.internal:9000'"
        )
    return value.rstrip("/")


def _server(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise refusal("not the host of an NFS server", "write a host or an address, e.g. 'nfs.internal'")
    return value


def _export(value: str) -> str:
    if not PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
        raise refusal("not the path of an NFS export", "begin with '/', e.g. '/models'")
    return value


BucketName = Annotated[str, AfterValidator(_bucket)]


class CreatedBucket(Section):
    """A bucket on Amazon S3 that the program creates: versioned, private, encrypted, TLS only."""

    kind: Literal["created"]
    name: BucketName


class ExistingBucket(Section):
    """A bucket on Amazon S3 that is there already. Models get the right to read it; it is left alone."""

    kind: Literal["existing"]
    name: BucketName


class CompatibleBucket(Section):
    """A bucket of any other store that speaks S3. `credentials_secret` names a Secret in the models' namespace."""

    kind: Literal["compatible"]
    name: BucketName
    endpoint: Annotated[str, AfterValidator(_endpoint)]
    region: Annotated[str, Field(min_length=1)] = "us-east-1"
    credentials_secret: ClaimName


class NoBucket(Section):
    """The program knows of no bucket."""

    kind: Literal["off"]


Bucket = Annotated[CreatedBucket | ExistingBucket | CompatibleBucket | NoBucket, Field(discriminator="kind")]


class EfsShare(Section):
    """Amazon EFS, created by the program. It grows by itself; `size` is only what the claim says."""

    kind: Literal["efs"]
    claim: ClaimName = DEFAULT_CLAIM
    size: MemoryQuantity = "1Ti"


class NfsShare(Section):
    """An export of an NFS server that is there already."""

    kind: Literal["nfs"]
    claim: ClaimName = DEFAULT_CLAIM
    size: MemoryQuantity = "1Ti"
    server: Annotated[str, AfterValidator(_server)]
    path: Annotated[str, AfterValidator(_export)]


class NoShare(Section):
    """No shared directory is made; claims that models name must be there."""

    kind: Literal["off"]


Share = Annotated[EfsShare | NfsShare | NoShare, Field(discriminator="kind")]


class Storage(Section):
    """Both places, and the class of the volumes that add-ons keep their own data on.

    volume_class: None is `gp3`, which the program makes on EKS, and the cluster's default class elsewhere.
    fetch: how Jobs bring weights to shared claims; None where none does.
    """

    bucket: Bucket = NoBucket(kind="off")
    shared: Share = NoShare(kind="off")
    volume_class: ClaimName | None = None
    fetch: Fetch | None = None

    @property
    def store(self) -> CompatibleBucket | None:
        """The store that models are told the address of; Amazon's own they know."""
        return self.bucket if isinstance(self.bucket, CompatibleBucket) else None
