"""What Prometheus asks for the models' numbers, and the gateway for theirs.

Owns: two PodMonitors in the models' namespace, one for all models and one for the gateway's proxies there. Does not own:
Prometheus, rules, dashboards, nor what admits Prometheus to the port of metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.engine_args import METRICS_PORT_NAME
from components.model_names import MODEL_LABEL, REVISION_LABEL, TRACK_LABEL
from components.signals import GATEWAY_MONITOR, SERVICE_LABEL

API_VERSION: Final = "monitoring.coreos.com/v1"
KIND: Final = "PodMonitor"
INTERVAL_SECONDS: Final = 15
"""An autoscaler's sync is as long: it never decides twice on one number."""
VERSION_LABEL: Final = "app.kubernetes.io/version"
POD_LABELS: Final = (SERVICE_LABEL, MODEL_LABEL, REVISION_LABEL, TRACK_LABEL, VERSION_LABEL)
"""Labels of a model's pods that become labels of its series, `.`, `/` and `-` as `_`: which model, and which version of it.
The DCGM exporter's series have the same."""


@dataclass(frozen=True, kw_only=True)
class ModelMonitorArgs:
    """`namespace` of the models. after: the kind PodMonitor. gateway: Envoy's proxies run there, too."""

    namespace: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()
    gateway: bool


class ModelMonitor(pulumi.ComponentResource):
    """Makes them. A model that comes later, and each new version, is watched without a change here."""

    def __init__(self, name: str, args: ModelMonitorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:observability:ModelMonitor", name, {}, opts)
        monitors = {"models": models_spec()} | ({GATEWAY_MONITOR: gateway_spec()} if args.gateway else {})
        for what, spec in monitors.items():
            operator_object(
                self, name, what, kind=KIND, namespace=args.namespace, spec=spec, after=args.after
            )
        self.register_outputs({"monitors": sorted(monitors)})


def operator_object(
    parent: pulumi.ComponentResource,
    name: str,
    what: str,
    *,
    kind: str,
    namespace: pulumi.Input[str],
    spec: Mapping[str, Any],
    after: Sequence[pulumi.Resource],
) -> None:
    """Make an object of Prometheus' operator, called `what`. name: of the component that it belongs to. after: its kind."""
    CustomResource(
        f"{name}-{what}",
        api_version=API_VERSION,
        kind=kind,
        metadata=ObjectMetaArgs(
            name=what, namespace=namespace, labels={"app.kubernetes.io/part-of": "vllm-platform"}
        ),
        spec=dict(spec),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*after]),
    )


def models_spec() -> dict[str, Any]:
    """Return the spec for the models: the middleware's port of metrics, which only Prometheus is admitted to."""
    return {
        "jobLabel": "app.kubernetes.io/name",
        "podTargetLabels": list(POD_LABELS),
        "selector": {
            "matchLabels": {
                "app.kubernetes.io/name": "vllm",
                "app.kubernetes.io/component": "predictor",
                "app.kubernetes.io/part-of": "vllm-platform",
            }
        },
        "podMetricsEndpoints": [
            {"port": METRICS_PORT_NAME, "path": "/metrics", "interval": f"{INTERVAL_SECONDS}s"}
        ],
    }


def gateway_spec() -> dict[str, Any]:
    """Return the spec for the proxies that Envoy Gateway (v1.9) runs in the namespace of the Gateway."""
    return {
        "selector": {
            "matchLabels": {
                "app.kubernetes.io/managed-by": "envoy-gateway",
                "app.kubernetes.io/component": "proxy",
            }
        },
        "podMetricsEndpoints": [
            {"port": "metrics", "path": "/stats/prometheus", "interval": f"{INTERVAL_SECONDS}s"}
        ],
    }
