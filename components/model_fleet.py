"""All models of a stack, each with the pool, zones and image that its settings lead to.

A function that wires components: every model is the stack's own.
"""

from collections.abc import Callable, Mapping, Sequence

import pulumi

from components.inference_service import Serving
from components.model_service import ModelService, ModelServiceArgs
from settings import Settings
from settings.models import Model, Tier
from settings.pools import Pool

Before = Callable[[Model, Pool], Sequence[pulumi.Resource]]


def deploy_models(
    settings: Settings,
    *,
    namespace: pulumi.Input[str],
    priorities: Mapping[Tier, pulumi.Output[str]],
    before: Before,
    on_cluster: pulumi.ResourceOptions,
) -> dict[str, ModelService]:
    """Deploy the models that are enabled, by name. `before`: what must be there before one of them.

    priorities: names of the priority classes, by tier.
    """
    models: dict[str, ModelService] = {}
    for model in settings.enabled_models:
        pool = settings.pool_of(model)
        serving = Serving(
            model=model,
            pool=pool,
            zones=settings.zones_of(pool),
            region=settings.cluster.region,
            image=settings.image_reference(model),
            store=settings.storage.store,
        )
        args = ModelServiceArgs(namespace=namespace, priority_class=priorities[model.tier], serving=serving)
        waits = pulumi.ResourceOptions(depends_on=[*before(model, pool)])
        models[model.name] = ModelService(model.name, args, pulumi.ResourceOptions.merge(on_cluster, waits))
    return models
