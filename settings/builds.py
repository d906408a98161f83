"""How the program builds the images that its models ask for, and how it gets at the registry."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.scalars import Switch

BASE: Final = "vllm/vllm-openai:v0.32.0"
FETCH_BASE: Final = "python:3.12.12-slim-bookworm"
"""The defaults of docker/vllm/Dockerfile; a test holds them equal."""

_REFERENCE: Final = re.compile(
    r"(?P<name>[a-zA-Z0-9][\w.:/-]*?):(?P<tag>[\w][\w.-]{0,127})(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_BUILDER: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{0,127}")
_USER: Final = re.compile(r"[^\s:]{1,255}")

BuildSecret = Literal["hub_token", "aws_credentials", "pip_conf"]
REGISTRY_PASSWORD: Final = "registry_password"  # noqa: S105 - the name of a secret


def _reference(value: str) -> str:
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise refusal(
            "not an image with its tag",
            "write NAME:TAG, or NAME:TAG@sha256:... as `docker buildx imagetools inspect` prints the digest",
        )
    if match["tag"] == "latest":
        raise refusal("`latest` is another image tomorrow", "write the tag of a release")
    return value


def _builder(value: str) -> str:
    if not _BUILDER.fullmatch(value):
        raise refusal("not the name of a buildx builder", "write a name that `docker buildx ls` shows")
    return value


def _user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise refusal("not a user name", "write the user alone; its password is a secret of its own")
    return value


BaseImage = Annotated[str, AfterValidator(_reference)]


class DockerLogin(Section):
    """Whatever `docker login`, or a credential helper, has left on the machine."""

    kind: Literal["docker"]


class EcrLogin(Section):
    """A token of Amazon ECR for each run, by the program's own rights on AWS."""

    kind: Literal["ecr"]


class PasswordLogin(Section):
    """A user, such as a robot account of Harbor's; its password is the secret `registry_password` of the stack."""

    kind: Literal["password"]
    username: Annotated[str, AfterValidator(_user)]


Login = Annotated[DockerLogin | EcrLogin | PasswordLogin, Field(discriminator="kind")]


class Builds(Section):
    """Of all images that the program builds.

    base, fetch_base: what the Dockerfile builds on; outside of `dev` with their digests.
    builder: of buildx; None is the default one. Its driver must be docker-container, kubernetes or remote.
    client: `embedded` is the provider's own; `buildx` is the machine's, which also attests provenance.
    cache: layers of a build are kept in the registry for the next one, beside the image, as tag `cache`.
    secrets: files that exist during one command of a build, each a secret of the stack with this name.
    login: None is `ecr` for a registry in the account of the cluster that the program creates, else `docker`.
    check_digests: ask the registry, before anything is deployed, for each image that a digest names.
    """

    base: BaseImage = BASE
    fetch_base: BaseImage = FETCH_BASE
    builder: Annotated[str, AfterValidator(_builder)] | None = None
    client: Literal["embedded", "buildx"] = "embedded"
    cache: Switch = True
    secrets: tuple[BuildSecret, ...] = ()
    login: Login | None = None
    check_digests: Switch = True
