"""The dashboards of a stack, and how Grafana gets them.

Owns: a ConfigMap for each dashboard in the models' namespace, with the label that the sidecar of kube-prometheus-stack's
Grafana looks for. Does not own: Grafana.

A stack has only what it can show: without the DCGM exporter no GPUs, without a price no cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.prometheus import DASHBOARD_LABEL
from components.dashboards.capacity import capacity
from components.dashboards.gateway import Shown, gateway
from components.dashboards.gpu_fleet import gpu_fleet
from components.dashboards.model_detail import model_detail
from components.dashboards.overview import overview
from components.dashboards.panels import Board, board_json
from components.dashboards.rollout import rollout
from components.telemetry.model_rules import rules_of
from components.telemetry.replica_rules import replica_price
from settings import Settings
from settings.gateway import JwtAuthentication
from settings.keda import KedaScaling


@dataclass(frozen=True, kw_only=True)
class DashboardsArgs:
    """`dashboards`: Grafana's JSON by name. namespace: of the ConfigMaps, and so of the names of their files."""

    namespace: pulumi.Input[str]
    prefix: str
    dashboards: Mapping[str, str]


class Dashboards(pulumi.ComponentResource):
    """Makes them. Grafana shows them within a minute, and a change of one, too."""

    def __init__(self, name: str, args: DashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:observability:Dashboards", name, {}, opts)
        for what, text in args.dashboards.items():
            ConfigMap(
                f"{name}-{what}",
                metadata=ObjectMetaArgs(
                    name=f"dashboard-{what}",
                    namespace=args.namespace,
                    labels={"app.kubernetes.io/part-of": "vllm-platform", DASHBOARD_LABEL: "1"},
                ),
                # The sidecar writes all files into one folder.
                data={f"{args.prefix}-{what}.json": text},
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"dashboards": sorted(args.dashboards)})


def boards_of(settings: Settings) -> tuple[Board, ...]:
    """Return the dashboards of a stack; none where no model is deployed."""
    deployed = [model for model in settings.enabled_models if not model.stopped]
    if not deployed:
        return ()
    namespace, first = settings.namespace, deployed[0].name
    gpus = settings.asked.choice("dcgm_exporter") != "off"
    priced = all(
        replica_price(model, settings.pool_of(model), settings.cluster.region) is not None
        for model in deployed
    )
    envoy = settings.gateway.kind == "envoy"
    shown = Shown(
        envoy=envoy,
        limits=settings.request_limits is not None,
        tokens=isinstance(settings.envoy.authentication, JwtAuthentication),
    )
    return (
        overview(namespace, gpus=gpus, alerts=alert_names(settings)),
        model_detail(namespace, first=first, priced=priced),
        *([gpu_fleet()] if gpus else []),
        *([gateway(namespace, shown)] if settings.routes else []),
        rollout(namespace, first=first),
        capacity(
            namespace,
            priced=priced,
            keda=any(isinstance(model.autoscaling, KedaScaling) for model in deployed),
        ),
    )


def alert_names(settings: Settings) -> list[str]:
    """Return the names of all alerts of a stack."""
    groups = [group for groups in rules_of(settings).values() for group in groups]
    return sorted({rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule})


def dashboards_of(settings: Settings) -> dict[str, str]:
    """Return Grafana's JSON of each dashboard of a stack, by name."""
    return {
        board.name: board_json(board, namespace=settings.namespace, runbooks=settings.observability.runbooks)
        for board in boards_of(settings)
    }


def show(settings: Settings, *, namespace: pulumi.Input[str], on_cluster: pulumi.ResourceOptions) -> None:
    """Declare the dashboards of a stack, where there is a Prometheus: the chart that brings it brings Grafana, too."""
    if settings.asked.choice("prometheus") == "off":
        return
    args = DashboardsArgs(namespace=namespace, prefix=settings.namespace, dashboards=dashboards_of(settings))
    Dashboards("dashboards", args, on_cluster)
