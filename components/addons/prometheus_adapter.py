"""Prometheus Adapter: hands one metric of Prometheus to HorizontalPodAutoscalers, how busy a pod's GPUs are.

Owns: the API custom.metrics.k8s.io, which only one of a cluster can serve. Does not own: external.metrics.k8s.io, which
is KEDA's, and metrics.k8s.io, which is metrics-server's: a rule for one of them would register that API anew, and the
autoscalers of the other would find nothing.

The API server does not check its certificate, which it makes anew at each start: the chart's other ways are keys in
values, or cert-manager. Who could answer in its place, inside the cluster, could change numbers of replicas between
minimum and maximum, and learn nothing.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import PROMETHEUS_ADAPTER as CHART
from components.scaling import GPU_UTILIZATION_METRIC

NAME: Final = "prometheus-adapter"


@dataclass(frozen=True, kw_only=True)
class PrometheusAdapterArgs(AddonArgs):
    """`prometheus`: address that it asks."""

    prometheus: str


class PrometheusAdapter(Addon):
    """Installs it. Once `ready` is known, its API answers."""

    def __init__(
        self, name: str, args: PrometheusAdapterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:PrometheusAdapter", name, {}, opts)
        self._install(
            name, args, CHART, prometheus_adapter_values(replicas=args.replicas, prometheus=args.prometheus)
        )


def prometheus_adapter_values(*, replicas: int, prometheus: str) -> dict[str, Any]:
    """Return the chart's values. prometheus: address that it asks. Pod security is the chart's own, already as strict as it can be."""
    several = replicas > 1
    address = urlsplit(prometheus)
    return {
        "fullnameOverride": NAME,
        # The chart joins the three again. A port of 0 it leaves out.
        "prometheus": {
            "url": f"{address.scheme}://{address.hostname}",
            "port": address.port or 0,
            "path": address.path,
        },
        "replicas": replicas,
        "podDisruptionBudget": {"enabled": several, "maxUnavailable": 1},
        "topologySpreadConstraints": [_over_zones()] if several else [],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        # The chart's 4 is a line for every question of every autoscaler.
        "logLevel": 2,
        "rules": {
            # The default hands on every series that there is.
            "default": False,
            "custom": [gpu_rule()],
            "external": [],
        },
    }


def gpu_rule() -> dict[str, Any]:
    """Return the rule for the metric that our autoscalers name; a pod with several GPUs has their mean.

    Its labels are those of the pod that uses the GPU, as the DCGM exporter's ServiceMonitor keeps them.
    """
    return {
        "seriesQuery": f'{GPU_UTILIZATION_METRIC}{{namespace!="",pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"matches": "^(.*)$", "as": "$1"},
        "metricsQuery": "avg(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
    }


def _over_zones() -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
    }
