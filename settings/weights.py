"""Where a model's weights come from, and the volumes mounted beside them."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from settings.base import Section, refusal
from settings.scalars import ClaimName, Switch

# Directories that the pod fills with volumes of its own, or that the kernel owns: weights there would be
# hidden or refused.
RESERVED_PATHS: Final = ("/dev", "/tmp", "/proc", "/sys", "/etc", "/var/run", "/run")  # noqa: S108 - names, not files
_S3_URI: Final = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[A-Za-z0-9!_.*'()/-]*[A-Za-z0-9!_.*'()-])/?"
)


def _container_path(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts:
        raise refusal(
            "not an absolute path inside the container",
            "begin with '/' and leave out '..', e.g. '/opt/model'",
        )
    if str(path) in {"/", "//"}:
        raise refusal(
            "the container's root can not be a model's directory or a mount",
            "name a directory, e.g. '/opt/model'",
        )
    for reserved in RESERVED_PATHS:
        if path.is_relative_to(reserved):
            raise refusal(
                f"{reserved} belongs to the system or to a volume of the pod, which would hide what is there",
                "use e.g. '/opt/model' or '/mnt/models'",
            )
    return str(path)


def _sub_path(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise refusal(
            "not a path below the claim's root", "leave out the leading '/' and every '..', e.g. 'qwen2.5-7b'"
        )
    return "" if str(path) == "." else str(path)


def bucket_and_prefix(uri: str) -> tuple[str, str]:
    """Split the address of a directory on S3. The prefix has no slash at its end."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix


def _s3_uri(value: str) -> str:
    if not _S3_URI.fullmatch(value):
        raise refusal(
            "not the S3 address of a model's directory",
            "write 's3://BUCKET/PREFIX' with a prefix, e.g. 's3://llm-models/qwen3-235b'",
        )
    return value.rstrip("/")


ContainerPath = Annotated[str, AfterValidator(_container_path)]
S3Uri = Annotated[str, AfterValidator(_s3_uri)]


class BakedWeights(Section):
    """Weights inside the image, at `path`."""

    kind: Literal["baked"]
    path: ContainerPath


class NoFill(Section):
    """Somebody else lays the weights down, at `sub_path`."""

    kind: Literal["off"]


class JobFill(Section):
    """A Job brings the pinned revision before the model starts, to a folder of its own below `sub_path`."""

    kind: Literal["job"]
    timeout_seconds: Annotated[int, Field(strict=True, ge=60)] = 7200


Fill = Annotated[NoFill | JobFill, Field(discriminator="kind")]


class CachedWeights(Section):
    """Weights on a claim that all replicas share (ReadWriteMany)."""

    kind: Literal["cache"]
    claim: ClaimName
    mount_path: ContainerPath
    sub_path: Annotated[str, AfterValidator(_sub_path)] = ""
    fill: Fill = NoFill(kind="off")


class Unpinned(Section):
    """Leave to stream from a directory that does not bear the revision. The reason is what a reviewer reads."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


class StreamedWeights(Section):
    """Weights streamed from S3 into GPU memory at start; nothing is kept on the node.

    uri: the directory; a part of its path is the model's revision, unless `unpinned` says why not.
    concurrency: requests that each GPU's process has under way; None is the streamer's own number.
    distributed: each of a replica's processes reads a part of the files and hands it to the others.
    """

    kind: Literal["s3"]
    uri: S3Uri
    unpinned: Unpinned | None = None
    concurrency: Annotated[int, Field(strict=True, ge=1, le=256)] | None = None
    distributed: Switch = False


Weights = Annotated[BakedWeights | CachedWeights | StreamedWeights, Field(discriminator="kind")]


class Mount(Section):
    """A claim mounted beside the weights, never over them."""

    claim: ClaimName
    path: ContainerPath
    read_only: Switch = True
