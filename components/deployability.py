"""Last look before the engine starts: settings that are right and still can not be deployed."""

import pulumi

from settings import Problem, Settings, SettingsError
from settings.cluster import EksCluster, RehearsalCluster


def refuse_what_can_not_run(settings: Settings, *, stack: str, preview: bool) -> None:
    """Raise SettingsError for what can not run; a preview only warns of what up alone refuses."""
    missing = missing_cluster(settings, stack)
    if missing:
        raise SettingsError(stack, missing)
    placeholders = placeholder_images(settings)
    if placeholders and not preview:
        raise SettingsError(stack, placeholders)
    for problem in placeholders:
        pulumi.log.warn(f"`pulumi up` will refuse {problem}")


def missing_cluster(settings: Settings, stack: str) -> list[Problem]:
    """Return why there is no cluster to deploy to, if there is none."""
    if not isinstance(settings.cluster, EksCluster):
        return []
    fix = (
        f"`vp render {stack} --out DIR` writes all of its objects, "
        f"`vp rehearse {stack}` deploys them to a rehearsal cluster; "
        "to deploy to a cluster that exists, set cluster.kind to existing"
    )
    return [Problem("cluster.kind", "eks", "this version does not create the EKS cluster yet", fix)]


def placeholder_images(settings: Settings) -> list[Problem]:
    """Return the models whose image exists nowhere. A rehearsal pulls no image, so it takes them."""
    if isinstance(settings.cluster, RehearsalCluster):
        return []
    reason = "the digest is the example of the committed file: no registry holds such an image"
    fix = "write the digest that the push of the image printed"
    examples = {model.name: model.image.digest for model in settings.enabled_models if model.image.is_example}
    return [Problem(f"models[{name}].image.digest", digest, reason, fix) for name, digest in examples.items()]
