"""Where a model's weights are published, at the pinned revision that the model names."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.weights import S3Uri

# A part of what docker/vllm/weight_sources.py takes.
_HUB: Final = re.compile(r"https://[\w.-]+(:\d{1,5})?(/[\w./-]*)?", re.ASCII)


def _hub(value: str) -> str:
    if "@" in urlsplit(value).netloc:
        raise refusal(
            "an address with credentials in it, and a stack file is committed",
            "write the address alone; the token is the secret `hub_token` of builds, "
            "and the Secret in `storage.fetch.hub_token_secret` for claims",
        )
    if not _HUB.fullmatch(value):
        raise refusal("not the address of a hub over TLS", "write e.g. 'https://hub.internal'")
    return value.rstrip("/")


HubAddress = Annotated[str, AfterValidator(_hub)]


class HuggingFaceSource(Section):
    """The repository on Hugging Face that the model is named after. `revision`: its commit. endpoint: a mirror, trusted as the hub is."""

    kind: Literal["huggingface"]
    endpoint: HubAddress | None = None


class ModelScopeSource(Section):
    """The repository of the same name on ModelScope. `revision`: its commit there, not the one on Hugging Face. endpoint: a mirror."""

    kind: Literal["modelscope"]
    endpoint: HubAddress | None = None


class BucketSource(Section):
    """A directory of a bucket, with a file SHA256SUMS. `revision`: the first 40 digits of that file's own SHA-256."""

    kind: Literal["s3"]
    uri: S3Uri


WeightSource = Annotated[HuggingFaceSource | ModelScopeSource | BucketSource, Field(discriminator="kind")]
