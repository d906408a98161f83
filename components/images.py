"""The image of each model, as its pods name it: built here, or asked for in the registry, or taken as it is written.

A function that wires components: images are the stack's own, and models may share one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pulumi

from components.aws.entry import registry_access
from components.registry_access import RegistryAccess, docker_registry
from settings import Settings
from settings.cluster import RehearsalCluster
from settings.image_build import fetch_plan, image_plan
from settings.registry import Image

if TYPE_CHECKING:
    from components.aws.cluster_base import ClusterBase
    from components.vllm_image import VllmImage

PROVIDER: Final = "docker-build"


def create_images(
    settings: Settings,
    base: "ClusterBase | None",
    secrets: Mapping[str, pulumi.Output[str]],
) -> dict[str, pulumi.Input[str]]:
    """Return the images' names by model, a candidate's too, and by FETCH_IMAGE of what fills claims, where something does.

    base: the cluster that the program creates. secrets: the stack's, by name. A rehearsal pulls no image, so it builds none and asks for none.
    """
    if isinstance(settings.cluster, RehearsalCluster):
        return {name: image.reference(settings.registry.host) for name, image in settings.images.items()}
    access = registry_access(settings, base) or docker_registry(settings, secrets)
    built = _build_all(settings, access, secrets)
    return {name: _name(settings, image, built, access) for name, image in settings.images.items()}


def _name(
    settings: Settings,
    image: Image,
    built: Mapping[str, "VllmImage"],
    access: RegistryAccess,
) -> pulumi.Input[str]:
    reference = image.reference(settings.registry.host)
    if image.is_built:
        return pulumi.Output.concat(reference, "@", built[reference].digest)
    # The committed example is in no registry, and `pulumi up` refuses it before anything else.
    if image.digest is None or image.is_example or not settings.builds.check_digests:
        return reference
    return access.found(image).apply(lambda _: reference)


def _build_all(
    settings: Settings,
    access: RegistryAccess,
    secrets: Mapping[str, pulumi.Output[str]],
) -> dict[str, "VllmImage"]:
    """Build each image once, by its name and tag: the settings refuse two of one name that differ."""
    found = [image_plan(settings, model) for model in settings.deployed_models if model.image.is_built]
    if settings.fetch and settings.fetch.image.is_built:
        found.append(fetch_plan(settings, settings.fetch))
    plans = {plan.tag: plan for plan in found}
    if not plans:
        return {}
    from pulumi_docker_build import Provider  # noqa: PLC0415 - most runs build nothing

    from components.vllm_image import VllmImage, VllmImageArgs  # noqa: PLC0415 - as above

    login = access.login()
    with_builder = pulumi.ResourceOptions(providers=[Provider(PROVIDER)])
    return {
        tag: VllmImage(
            f"image-{plan.repository.replace('/', '-')}-{plan.tag.rpartition(':')[2]}",
            VllmImageArgs(
                plan=plan,
                login=login,
                secrets={name: secrets[name] for name in plan.secrets},
                builder=settings.builds.builder,
                own_buildx=settings.builds.client == "buildx",
                after=access.after,
            ),
            with_builder,
        )
        for tag, plan in plans.items()
    }
