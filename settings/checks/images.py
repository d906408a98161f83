"""Images: what the program can build, what a build needs, and where weights come from."""

from collections.abc import Iterable

from settings.builds import REGISTRY_PASSWORD, Builds, EcrLogin, PasswordLogin
from settings.checks.naming import at, of_versions, repeated
from settings.draft import Draft
from settings.image_build import CACHE_TAG, MODEL_PATH
from settings.models import Model
from settings.problems import Problem
from settings.registry import Image
from settings.sources import BucketSource, HuggingFaceSource
from settings.stack import is_own_registry
from settings.versions import versions_of
from settings.weights import BakedWeights, StreamedWeights


def check(draft: Draft) -> list[Problem]:
    """Return the problems of images and their builds."""
    problems = of_versions(draft.models, lambda model: [*_source(model), *_image(model)])
    if draft.builds is not None:
        problems += [*_builds(draft.builds, draft), *_login(draft.builds, draft)]
    return [*problems, *_same_name(draft)]


def named_by_digest(image: Image, path: str, draft: Draft) -> Iterable[Problem]:
    """Return the problem of an image that a stack of `prod` names by its tag alone. `path`: of the image."""
    if draft.environment == "prod" and image.digest is None:
        fix = "add `digest: sha256:...` as the push printed it; `vp promote` writes that of what ran before"
        yield Problem(f"{path}.digest", None, "prod runs images by digest: a tag can be moved", fix)


def _source(model: Model) -> Iterable[Problem]:
    source, weights = model.source, model.weights
    if isinstance(weights, StreamedWeights) and not isinstance(source, HuggingFaceSource):
        yield Problem(
            at(model, "source", "kind"),
            source.kind,
            "the weights are streamed from weights.uri, so nothing would be fetched from there",
            "remove `source`",
        )
    elif (
        not isinstance(source, BucketSource)
        and source.endpoint
        and not (isinstance(weights, BakedWeights) or model.fill)
    ):
        yield Problem(
            at(model, "source", "endpoint"),
            source.endpoint,
            "the program fetches no weights of this model, so nothing would be asked there",
            "remove `endpoint`",
        )


def _image(model: Model) -> Iterable[Problem]:
    if not model.image.is_built:
        return
    if isinstance(model.weights, BakedWeights) and model.weights.path != MODEL_PATH:
        yield Problem(
            at(model, "weights", "path"),
            model.weights.path,
            f"the program's own image has the weights at {MODEL_PATH}",
            f"write {MODEL_PATH!r}, or push an image of your own and remove `image.build`",
        )
    if model.image.tag == CACHE_TAG:
        yield Problem(
            at(model, "image", "tag"),
            CACHE_TAG,
            "layers of builds are kept under this tag, and it is moved with each",
            "write the tag of a release, e.g. 'v1.0'",
        )


def _builds(builds: Builds, draft: Draft) -> Iterable[Problem]:
    yield from repeated(builds.secrets, "builds.secrets", "the secret")
    for name in builds.secrets:
        if name not in draft.secrets:
            yield Problem(
                "builds.secrets", name, "the stack has no such secret", f"set it: `{_set_secret(name)}`"
            )
    images = [version.image for version in _versions(draft) if version.enabled]
    if draft.storage and draft.storage.fetch:
        images.append(draft.storage.fetch.image)
    if draft.environment in {None, "dev"} or not any(image.is_built for image in images):
        return
    for key, base in (("base", builds.base), ("fetch_base", builds.fetch_base)):
        if "@" not in base:
            yield Problem(
                f"builds.{key}",
                base,
                f"in {draft.environment} an image is built on a digest: a tag can be moved under it",
                f"write '{base}@sha256:...', the digest that `docker buildx imagetools inspect {base}` prints",
            )


def _login(builds: Builds, draft: Draft) -> Iterable[Problem]:
    if isinstance(builds.login, PasswordLogin) and REGISTRY_PASSWORD not in draft.secrets:
        yield Problem(
            "builds.login.kind",
            "password",
            f"the stack has no secret {REGISTRY_PASSWORD}",
            f"set it: `{_set_secret(REGISTRY_PASSWORD)}`",
        )
    if not isinstance(builds.login, EcrLogin) or draft.registry is None or draft.cluster is None:
        return
    if not is_own_registry(draft.registry, draft.cluster):
        yield Problem(
            "builds.login.kind",
            "ecr",
            "the program has rights on AWS only in the account and region of a cluster that it creates",
            "use `docker`, after `aws ecr get-login-password | docker login`, or remove `login`",
        )


def _set_secret(name: str) -> str:
    return f"pulumi config set --secret vllm-platform:{name}"


def _same_name(draft: Draft) -> Iterable[Problem]:
    """One name is one image: models may share it where it has no weights, or the same ones."""
    seen: dict[tuple[str, str], Model] = {}
    for model in _versions(draft):
        if not (model.enabled and model.image.is_built):
            continue
        first = seen.setdefault((model.image.repository, model.image.tag), model)
        if _made_of(first) != _made_of(model):
            yield Problem(
                at(model, "image", "tag"),
                f"{model.image.repository}:{model.image.tag}",
                f"{first.name} is built under this name too, of something else",
                "give each a repository or a tag of its own",
            )


def _versions(draft: Draft) -> list[Model]:
    return [version for model in draft.models for version in versions_of(model)]


def _made_of(model: Model) -> object:
    if not isinstance(model.weights, BakedWeights):
        return None
    return model.model, model.revision, model.source, model.engine.trust_remote_code is None
