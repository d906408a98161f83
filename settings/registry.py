"""Where images are pulled from, and how an image is named in it."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.scalars import EXAMPLE_DIGEST, AccountId, Digest, Switch

_HOST: Final = re.compile(
    r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:\d{1,5})?(/[a-z0-9][-a-z0-9_./]*[a-z0-9])?"
)
_REPOSITORY: Final = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise refusal(
            "not the host of a registry",
            "write the host alone, without 'https://', e.g. 'harbor.internal' or 'harbor.internal:5000'",
        )
    return value


def _repository(value: str) -> str:
    first, _, rest = value.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        raise refusal(
            "a registry's host belongs to the section `registry`, one per stack",
            f"write {rest!r} here",
        )
    if "@" in value or ":" in value:
        raise refusal(
            "tag and digest have keys of their own",
            "write the repository alone; put the tag in `tag` and the digest in `digest`",
        )
    if not _REPOSITORY.fullmatch(value):
        raise refusal(
            "not the name of an image repository",
            "use lower-case letters, digits, '.', '_', '-' and '/', e.g. 'llm/vllm-qwen-7b-awq'",
        )
    return value


def _tag(value: str) -> str:
    if value == "latest":
        raise refusal(
            "`latest` names another image tomorrow: replicas of one model would differ",
            "write the tag of a release, e.g. 'v1.0'",
        )
    if not _TAG.fullmatch(value):
        raise refusal("not an image tag", "write the tag of a release, e.g. 'v1.0'")
    return value


class EcrRegistry(Section):
    """Amazon ECR of one account and region."""

    kind: Literal["ecr"]
    account: AccountId
    region: str

    @property
    def host(self) -> str:
        """Host of the registry; China has a domain of its own."""
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"{self.account}.dkr.ecr.{self.region}.{domain}"


class ExternalRegistry(Section):
    """Any registry that speaks the OCI protocol, such as Harbor. `host` may end in a project path."""

    kind: Literal["external"]
    host: Annotated[str, AfterValidator(_host)]


Registry = Annotated[EcrRegistry | ExternalRegistry, Field(discriminator="kind")]


class Image(Section):
    """An image by its release tag and, always in prod, by its digest.

    build: the program builds and pushes it where no digest is written; a digest names what is there already.
    """

    repository: Annotated[str, AfterValidator(_repository)]
    tag: Annotated[str, AfterValidator(_tag)]
    digest: Digest | None = None
    build: Switch = False

    @property
    def is_built(self) -> bool:
        """Whether the program builds it."""
        return self.build and self.digest is None

    @property
    def is_example(self) -> bool:
        """Whether the digest is the placeholder of the committed files, which no registry holds."""
        return self.digest == EXAMPLE_DIGEST

    def reference(self, host: str) -> str:
        """Name the image in a registry: `host/repository:tag`, and `@digest` behind it where there is one."""
        tagged = f"{host}/{self.repository}:{self.tag}"
        return tagged if self.digest is None else f"{tagged}@{self.digest}"
