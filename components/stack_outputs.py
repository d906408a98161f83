"""What a stack exports, for the rollout, promotion and rollback commands and for whoever calls a model."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.addons.pattern import Addon
from components.addons.prometheus import PROMETHEUS_URL
from components.engine_args import engine_args
from components.model_service import ModelService
from settings import EksCluster, Settings


def model_outputs(settings: Settings, services: Mapping[str, ModelService]) -> dict[str, dict[str, Any]]:
    """Return per model its address and what it runs on. `replicas` is the lowest number; a scaler adds."""
    return {
        model.name: {
            "url": services[model.name].url,
            "namespace": settings.namespace,
            "replicas": model.min_replicas,
            "max_replicas": model.max_replicas,
            "gpus": model.gpus,
            "pool": settings.pool_of(model).name,
        }
        for model in settings.enabled_models
    }


def release_outputs(settings: Settings, addons: Mapping[str, Addon]) -> dict[str, dict[str, Any]]:
    """Return what a release is made of: what runs here, and nothing about where."""
    models = settings.enabled_models
    return {
        "images": {model.name: settings.image_reference(model) for model in models},
        "revisions": {model.name: model.revision for model in models},
        "charts": {unit: addon.chart.version for unit, addon in sorted(addons.items())},
        "engine_args": {model.name: engine_args(model) for model in models},
    }


def cluster_outputs(settings: Settings) -> dict[str, str]:
    """Return which cluster it is, and on EKS how a shell gets at it; the command stores no credentials."""
    cluster = settings.cluster
    found = {"kind": cluster.kind, "region": cluster.region}
    if isinstance(cluster, EksCluster):
        found["name"] = cluster.name
        found["login"] = f"aws eks update-kubeconfig --name {cluster.name} --region {cluster.region}"
    return found


def export_all(
    settings: Settings,
    services: Mapping[str, ModelService],
    addons: Mapping[str, Addon],
    url: pulumi.Output[str] | None,
) -> None:
    """Export all of it. `url` is the platform's address on the internet, if it has one."""
    pulumi.export("cluster", cluster_outputs(settings))
    pulumi.export("models", model_outputs(settings, services))
    pulumi.export("release", release_outputs(settings, addons))
    if "prometheus" in addons:
        pulumi.export("prometheus_url", PROMETHEUS_URL)
    if url is not None:
        pulumi.export("url", url)
