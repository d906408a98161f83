"""What a stack exports, for the rollout, promotion and rollback commands and for whoever calls a model."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.addons.pattern import Addon
from components.addons.prometheus import prometheus_url
from components.engine_args import engine_args
from components.model_card import model_card
from components.model_route import route_path
from components.model_service import ModelService
from settings import CanaryRollout, EksCluster, Model, Settings
from settings.versions import canary_of


def model_outputs(settings: Settings, services: Mapping[str, ModelService]) -> dict[str, dict[str, Any]]:
    """Return per model its address and what it runs on. `replicas` is the lowest number; a scaler adds.

    path: of its API on the gateway, where there is one. The url goes past the gateway, to the stable version alone.
    """
    return {
        model.name: {
            "url": services[model.name].url,
            **({"path": route_path(model)} if settings.routes else {}),
            "namespace": settings.namespace,
            "replicas": model.min_replicas,
            "max_replicas": model.max_replicas,
            "gpus": model.gpus,
            "pool": settings.pool_of(model).name,
        }
        for model in settings.enabled_models
    }


def release_outputs(
    settings: Settings, images: Mapping[str, pulumi.Input[str]], addons: Mapping[str, Addon]
) -> dict[str, dict[str, Any]]:
    """Return what runs here: versions of charts, and of each model the release of each version, as settings hold it.

    images: as the pods name them, by version.
    """
    return {
        "charts": {unit: addon.chart.version for unit, addon in sorted(addons.items())},
        "models": {model.name: _versions(model, images) for model in settings.enabled_models},
    }


def _versions(model: Model, images: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """Return the stable version, and while a rollout is under way the candidate with its step and its percentage."""
    found: dict[str, Any] = {"stable": _version(model, images[model.name])}
    canary, rollout = canary_of(model), model.rollout
    if canary is not None and isinstance(rollout, CanaryRollout) and rollout.candidate is not None:
        where = {"step": rollout.candidate.step, "weight": rollout.weight}
        found["candidate"] = {**_version(canary, images[canary.name]), **where}
    return found


def _version(version: Model, image: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "release": version.release.model_dump(mode="json", exclude_none=True),
        "image": image,
        "engine_args": engine_args(version),
        "card": model_card(version),
    }


def cluster_outputs(settings: Settings) -> dict[str, str]:
    """Return which cluster it is, and on EKS how a shell gets at it; the command stores no credentials."""
    cluster = settings.cluster
    found = {"kind": cluster.kind, "region": cluster.region}
    if isinstance(cluster, EksCluster):
        found["name"] = cluster.name
        found["login"] = cluster.login
    return found


def export_all(
    settings: Settings,
    services: Mapping[str, ModelService],
    images: Mapping[str, pulumi.Input[str]],
    addons: Mapping[str, Addon],
    url: pulumi.Output[str] | None,
) -> None:
    """Export all of it. `url` is the platform's address on the internet, if it has one."""
    pulumi.export("cluster", cluster_outputs(settings))
    pulumi.export("models", model_outputs(settings, services))
    pulumi.export("release", release_outputs(settings, images, addons))
    if "prometheus" in addons or settings.observability.prometheus_url:
        pulumi.export("prometheus_url", prometheus_url(settings))
    if url is not None:
        pulumi.export("url", url)
