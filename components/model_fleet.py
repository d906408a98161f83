"""All models of a stack, each with the pool, zones and image that its settings lead to.

A function that wires components: every model is the stack's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pulumi

from components.addons.otel_pipelines import OTLP_GRPC
from components.addons.pattern import Addon
from components.addons.prometheus import prometheus_url
from components.content_filter import filter_text
from components.dashboards.library import show
from components.inference_service import Serving
from components.model_monitor import ModelMonitor, ModelMonitorArgs
from components.model_service import ModelService, ModelServiceArgs
from components.pool_images import pull_images
from components.secret_delivery import SecretSource
from components.security.closing import close
from components.telemetry.model_rules import ModelRules, ModelRulesArgs, rules_of
from components.weight_fill import Filling, WeightFill, WeightFillArgs
from settings import Settings
from settings.content_filter import RuleFilter
from settings.fetch import FETCH_IMAGE
from settings.keda import KedaScaling
from settings.models import Model, Tier
from settings.needed_secrets import MODELS
from settings.pools import Pool
from settings.weights import CachedWeights

# Whoever has them knows the kinds of monitors and of rules.
_PROMETHEUS_KINDS: Final = "prometheus-definitions"
Before = Callable[[Model, Pool], Sequence[pulumi.Resource]]


def deploy_models(
    settings: Settings,
    *,
    namespace: pulumi.Input[str],
    priorities: Mapping[Tier, pulumi.Output[str]],
    images: Mapping[str, pulumi.Input[str]],
    addons: Mapping[str, Addon],
    before: Before,
    secrets: SecretSource,
    claims: Sequence[pulumi.Resource] = (),
    on_cluster: pulumi.ResourceOptions,
) -> dict[str, ModelService]:
    """Deploy the models that are enabled, by name, the candidate of a rollout among them, and have them watched.

    priorities: names of the priority classes, by tier. images: by model. addons: those that this program installs, by unit.
    before: what must be there before one of them, beside add-ons. secrets: brings those that reading weights takes.
    claims: what models with weights on a claim wait for
    besides.
    """
    models: dict[str, ModelService] = {}
    closed = close(settings, addons, namespace=namespace, on_cluster=on_cluster)
    pulled = pull_images(
        settings,
        images=images,
        priority_class=priorities["best-effort"],
        before=before,
        on_cluster=on_cluster,
    )
    reads = secrets.of(MODELS)
    delivered = [secrets.deliver(reads, namespace, addons, on_cluster)] if reads else []
    for model in settings.deployed_models:
        pool = settings.pool_of(model)
        serving = Serving(
            model=model,
            pool=pool,
            zones=settings.zones_of(pool),
            region=settings.cluster.region,
            image=images[model.name],
            store=settings.storage.store,
            content_filter=_filter_of(settings, model),
            traces_to=OTLP_GRPC if settings.tracing else None,
        )
        args = ModelServiceArgs(
            namespace=namespace,
            priority_class=priorities[model.tier],
            serving=serving,
            prometheus=prometheus_url(settings),
        )
        needs = [*before(model, pool), *(addons[unit] for unit in _serving_units(model) if unit in addons)]
        needs += closed
        needs += claims if isinstance(model.weights, CachedWeights) else ()
        needs += delivered if model.fill or model.read_from_s3 else ()
        needs += [pulled[pool.name]] if pool.name in pulled else []
        filling = _filling(settings, model, images)
        if filling is not None:
            # Never above what serves, and it takes nobody's place.
            fill = WeightFillArgs(
                namespace=namespace, priority_class=priorities["best-effort"], filling=filling
            )
            needs.append(WeightFill(f"{model.name}-weights", fill, _after(needs, on_cluster)))
        models[model.name] = ModelService(model.name, args, _after(needs, on_cluster))
    _watch(settings, namespace=namespace, addons=addons, on_cluster=on_cluster)
    show(settings, namespace=namespace, on_cluster=on_cluster)
    return models


def _filter_of(settings: Settings, model: Model) -> str | None:
    found = settings.filter_of(model)
    return filter_text(found, settings.namespace) if isinstance(found, RuleFilter) else None


def _after(needs: Sequence[pulumi.Resource], options: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[*needs]))


def _filling(settings: Settings, model: Model, images: Mapping[str, pulumi.Input[str]]) -> Filling | None:
    """Return what brings the model's weights to its claim. None where somebody else does, or there is no claim."""
    if model.fill is None or settings.fetch is None or not isinstance(model.weights, CachedWeights):
        return None
    return Filling(
        model=model,
        weights=model.weights,
        fill=model.fill,
        fetch=settings.fetch,
        image=images[FETCH_IMAGE],
        region=settings.cluster.region,
        not_on=[pool.name for pool in settings.gpu_pools],
        store=settings.storage.store,
    )


def _serving_units(model: Model) -> tuple[str, ...]:
    """Return the add-ons that must be there first: their kinds, and the webhooks that look at objects of them."""
    return ("kserve", "keda") if isinstance(model.autoscaling, KedaScaling) else ("kserve",)


def _watch(
    settings: Settings,
    *,
    namespace: pulumi.Input[str],
    addons: Mapping[str, Addon],
    on_cluster: pulumi.ResourceOptions,
) -> None:
    """Have Prometheus ask the models, and the gateway beside them, and judge by rules, where there is a Prometheus."""
    if settings.asked.choice("prometheus") == "off":
        return
    after = [addons[unit] for unit in (_PROMETHEUS_KINDS,) if unit in addons]
    gateway = settings.asked.choice("envoy_gateway") != "off"
    ModelMonitor(
        "models-watched", ModelMonitorArgs(namespace=namespace, after=after, gateway=gateway), on_cluster
    )
    ModelRules(
        "model-rules", ModelRulesArgs(namespace=namespace, rules=rules_of(settings), after=after), on_cluster
    )
