"""Which images the nodes of each GPU pool have before replicas need them. A function that wires components."""

from collections.abc import Callable, Mapping, Sequence

import pulumi

from components.image_prepull import ImagePrepull, ImagePrepullArgs, PoolImages
from settings import Settings
from settings.models import Model
from settings.pools import GpuPool, NoPrepull, Pool


def pull_images(
    settings: Settings,
    *,
    images: Mapping[str, pulumi.Input[str]],
    priority_class: pulumi.Input[str],
    before: Callable[[Model, Pool], Sequence[pulumi.Resource]],
    on_cluster: pulumi.ResourceOptions,
) -> Mapping[str, pulumi.Resource]:
    """Pull the images of the models on the pools that ask for it. Return what to wait for, by pool."""
    pools: list[PoolImages] = []
    for pool in settings.gpu_pools:
        models = [model for model in settings.deployed_models if settings.pool_of(model) == pool]
        if models and not isinstance(pool.prepull, NoPrepull):
            pools.append(_pool_images(settings, pool, models, images, before))
    if not pools:
        return {}
    args = ImagePrepullArgs(
        models_namespace=settings.namespace,
        priority_class=priority_class,
        pools=pools,
        closed=settings.security.rules is not None,
    )
    return ImagePrepull("prepull", args, on_cluster).pulled


def _pool_images(
    settings: Settings,
    pool: GpuPool,
    models: Sequence[Model],
    images: Mapping[str, pulumi.Input[str]],
    before: Callable[[Model, Pool], Sequence[pulumi.Resource]],
) -> PoolImages:
    # Models may share an image: by the name in the settings, since a digest may not be known yet.
    once = {settings.image_reference(model): images[model.name] for model in models}
    return PoolImages(
        pool=pool,
        images=[once[reference] for reference in sorted(once)],
        wait_seconds=max(model.ready_timeout_seconds for model in models),
        after=before(models[0], pool),
    )
