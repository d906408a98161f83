"""What BuildKit is told to build a model's image: the same for `pulumi up` and for a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from settings.builds import BuildSecret
from settings.facts import ModelFacts
from settings.fetch import Fetch
from settings.models import Model
from settings.registry import Image
from settings.sources import BucketSource, WeightSource
from settings.stack import Settings
from settings.weights import BakedWeights, bucket_and_prefix

CONTEXT: Final = "docker/vllm"
"""Relative to the project's folder."""
DOCKERFILE: Final = f"{CONTEXT}/Dockerfile"
PLATFORM: Final = "linux/amd64"
MODEL_PATH: Final = "/opt/model"
"""Where the Dockerfile puts the weights."""
CACHE_TAG: Final = "cache"


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """One image. tag: its whole name, `HOST/REPOSITORY:TAG`. cache: where layers of builds are kept; None is nowhere.

    arguments: of the Dockerfile, by name. secrets: files that exist during one command of the build.
    """

    repository: str
    tag: str
    target: str
    arguments: Mapping[str, str]
    cache: str | None
    secrets: tuple[BuildSecret, ...]


def image_plan(settings: Settings, model: Model) -> ImagePlan:
    """Return how a model's image is built, with the weights in it where it is to have them."""
    builds = settings.builds
    baked = isinstance(model.weights, BakedWeights)
    arguments = {"BASE": builds.base}
    if baked:
        arguments |= {"FETCH_BASE": builds.fetch_base, **_weights(settings, model, model.facts)}
    # Only the weights' stage has a use for secrets.
    secrets = builds.secrets if baked else ()
    return _plan(settings, model.image, "baked" if baked else "plain", arguments, secrets)


def fetch_plan(settings: Settings, fetch: Fetch) -> ImagePlan:
    """Return how the image of what fills claims is built."""
    builds = settings.builds
    # It fetches packages alone; weights, when it runs.
    secrets: tuple[BuildSecret, ...] = ("pip_conf",) if "pip_conf" in builds.secrets else ()
    return _plan(settings, fetch.image, "fetch", {"FETCH_BASE": builds.fetch_base}, secrets)


def _plan(
    settings: Settings,
    image: Image,
    target: str,
    arguments: Mapping[str, str],
    secrets: tuple[BuildSecret, ...],
) -> ImagePlan:
    repository = f"{settings.registry.host}/{image.repository}"
    return ImagePlan(
        repository=image.repository,
        tag=f"{repository}:{image.tag}",
        target=target,
        arguments={**arguments, "VERSION": image.tag},
        cache=f"{repository}:{CACHE_TAG}" if settings.builds.cache else None,
        secrets=secrets,
    )


def _weights(settings: Settings, model: Model, facts: ModelFacts) -> dict[str, str]:
    endpoint = _endpoint(settings, model.source)
    arguments = {} if endpoint is None else {"ENDPOINT": endpoint}
    arguments |= {
        "SOURCE": model.source.kind,
        "MODEL": model.published_as,
        "REVISION": model.revision,
        "QUANTIZATION": facts.quantization,
        "LICENCE": facts.licence,
    }
    return arguments if model.engine.trust_remote_code is None else {**arguments, "ALLOW_CODE": "1"}


def _endpoint(settings: Settings, source: WeightSource) -> str | None:
    """Return the address of a hub's mirror, or of the stack's own store, if that is not Amazon's."""
    if not isinstance(source, BucketSource):
        return source.endpoint
    store = settings.storage.store
    return store.endpoint if store and bucket_and_prefix(source.uri)[0] == store.name else None
